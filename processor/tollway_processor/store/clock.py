"""A server's clock, as this process can tell it without asking each time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from tollway_processor.errors import TollwayError
from tollway_processor.store.client import Row

logger = logging.getLogger(__name__)

NOW = "SELECT toUnixTimestamp64Nano(now64(9)) AS now_ns"
_OLD_S = 10.0


class ServerClock:
    """This machine's clock, set by the server's again and again; any thread may ask it.

    ask: runs NOW on the server. Wrong by half of the way there and back at most.
    """

    def __init__(self, ask: Callable[[], Sequence[Row]]) -> None:
        self._ask = ask
        self._ahead_ns = 0
        self._set_at = float("-inf")

    def now_ns(self) -> int:
        """Return nanoseconds since 1970, UTC."""
        return time.time_ns() + self._ahead_ns

    def set(self) -> None:
        """Ask the server. Raises what the store raises."""
        self._set_at = time.monotonic()
        before_ns = time.time_ns()
        server_ns = int(str(self._ask()[0]["now_ns"]))
        self._ahead_ns = server_ns - (before_ns + time.time_ns()) // 2

    def set_if_old(self) -> None:
        """Ask the server unless that was lately; where it does not answer the clock runs on."""
        if time.monotonic() - self._set_at < _OLD_S:
            return
        try:
            self.set()
        except TollwayError as error:
            logger.debug("the server did not tell the time: %s", error)
