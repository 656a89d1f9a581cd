"""Log lines about a problem that repeats: one at once, then one a period with the count."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

_MOST_KINDS = 1000  # kinds remembered; the text of a kind may come from outside


class Notices:
    """Warns through one logger, each kind of problem at most once every `period_s`."""

    def __init__(
        self,
        logger: logging.Logger,
        period_s: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._period_s = period_s
        self._monotonic = monotonic
        self._next_at: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def warn(self, kind: str, message: str) -> None:
        """Log `message`, or count it when its kind was logged within the period."""
        now = self._monotonic()
        if now < self._next_at.get(kind, float("-inf")):
            self._held_back[kind] = self._held_back.get(kind, 0) + 1
            return
        if len(self._next_at) >= _MOST_KINDS:
            self._next_at.clear()
            self._held_back.clear()
        self._next_at[kind] = now + self._period_s
        held_back = self._held_back.pop(kind, 0)
        more = f" (and {held_back} more like it since the last line)" if held_back else ""
        self._logger.warning("%s: %s%s", kind, message, more)
