"""Own the version of the distribution, as spans and the package tell it."""

from __future__ import annotations

VERSION = "0.1.0"
