"""Hypothesis without a clock: examples are derived from the test, and a busy machine fails none."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("tollway", deadline=None, derandomize=True)
settings.load_profile("tollway")
