"""The ingestion stamps of batches: strictly rising, and aware of which are still in flight."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stamps:
    """Gives each batch its `ingested_at_ns`; may be used from any thread."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._last_ns = 0
        self._in_flight: set[int] = set()

    @contextmanager
    def next(self) -> Iterator[int]:
        """Yield a stamp above all earlier ones, also when the clock was set back.

        It is in flight until the `with` is left, with the batch committed or refused.
        """
        with self._lock:
            stamp_ns = self._last_ns = max(self._now_ns(), self._last_ns + 1)
            self._in_flight.add(stamp_ns)
        try:
            yield stamp_ns
        finally:
            with self._lock:
                self._in_flight.discard(stamp_ns)

    def committed_before_ns(self) -> int:
        """Return a stamp below which no batch is in flight, nor ever will be."""
        with self._lock:
            if self._in_flight:
                return min(self._in_flight)
            safe_ns = max(self._now_ns(), self._last_ns + 1)
            self._last_ns = safe_ns - 1  # a clock set back must not stamp below what is promised
            return safe_ns
