"""What each LLM route costs per trace, and whether a cheaper model on it is quietly worse.

import tollway

tollway.instrument()
with tollway.route("refunds", cohort="account-closure", variant="student"):
    ...
"""

from __future__ import annotations

from tollway._blocks import route, session
from tollway._context import suppress
from tollway._setup import Handle, instrument, uninstrument
from tollway._version import VERSION
from tollway.scores import outcome, score

__version__ = VERSION

__all__ = [
    "Handle",
    "__version__",
    "instrument",
    "outcome",
    "route",
    "score",
    "session",
    "suppress",
    "uninstrument",
]
