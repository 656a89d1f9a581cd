"""When the next batch of a queue is due and how large it may be; batcher.py does the committing."""

from __future__ import annotations

from tollway_processor.ingest.config import MIB, BatchConfig

_LITTLE_BYTES = 1 * MIB  # a commit below this is mostly planning
_MOST_CREDIT_S = 1.0  # commit time that an idle queue has saved up: a burst of some ten requests
_MOST_LINGER_S = 2.0
_LINGER_SHARE = 0.35  # of the last commit's duration
# A commit that takes longer than these, and than so many times the last one, does not hold up the
# next one. Two at a time share the same senders: each would carry half, and be planned as dearly.
_PATIENCE_S, _PATIENCE_SHARE, _MOST_PATIENCE_S = 2.0, 2.0, 8.0
_WINDOWS_A_COMMIT = 5  # without credit the window is so many times a little commit's duration


class Pace:
    """The rhythm of one queue's commits. All times are one monotonic clock's seconds.

    A full batch is due at once. A lone request is due at once as long as there is credit, which
    commits of little spend and time refills; without it one commit a window is allowed. So an idle
    store answers in one commit's time, and a trickle cannot keep a core busy with planning.

    Planning costs the same whatever a commit carries. So under load what is not a full batch waits
    for the running commit, and then a moment for the senders which that one has just answered: each
    of them has one request in flight, and together they fill the next commit.
    """

    def __init__(self, config: BatchConfig) -> None:
        self._config = config
        self.running = 0
        self._last_start = self._last_end = self._credit_at = float("-inf")
        self._last_requests = self._expected = 0
        self._linger_s = config.linger_s
        self._patience_s = _PATIENCE_S
        self._credit_s = _MOST_CREDIT_S
        self._window_s = config.window_s
        self._most_requests = config.max_requests
        self._most_stored = 0  # requests of the largest batch since smaller ones failed
        self._is_near_limit = False

    @property
    def most_requests(self) -> int:
        """Requests that the next batch may hold."""
        return self._most_requests

    def wait_s(self, now: float, oldest: float, requests: int, held_bytes: int) -> float:
        """Return the seconds until the next commit is due, at most 0 when it is now.

        `oldest` is when the first of the `requests` waiting requests came, `held_bytes` their size.
        """
        config = self._config
        if requests >= self._most_requests or held_bytes >= config.max_bytes:
            return 0.0
        if self.running:
            return oldest + max(self._window_s, self._patience_s) - now
        due = oldest
        if self._last_requests > 1 and requests < self._expected:
            due = max(due, self._last_end + self._linger_s)  # the other senders are about to return
        if self._credit(now) > 0:
            return due - now
        return max(self._last_start + self._window_s, due) - now

    def started(self, now: float) -> None:
        """Note that a commit began."""
        self.running += 1
        self._last_start = now

    def finished(
        self, now: float, duration_s: float, requests: int, size: int, waiting: int = 0
    ) -> None:
        """Note that a commit of `requests` requests and `size` bytes ended, well or not.

        `waiting` requests had come meanwhile.
        """
        self.running -= 1
        self._expected = min(requests + waiting, self._most_requests)
        self._linger_s = max(self._config.linger_s, min(duration_s * _LINGER_SHARE, _MOST_LINGER_S))
        patience_s = max(_PATIENCE_S, duration_s * _PATIENCE_SHARE)
        self._patience_s = min(patience_s, _MOST_PATIENCE_S)
        self._last_end, self._last_requests = now, requests
        self._window_s = self._config.window_s
        if size < _LITTLE_BYTES:
            longest_s = max(self._config.longest_window_s, self._window_s)
            self._window_s = min(max(self._window_s, duration_s * _WINDOWS_A_COMMIT), longest_s)
            self._credit_s = max(-_MOST_CREDIT_S, self._credit(now) - duration_s)

    def failed(self, requests: int) -> None:
        """Halve the batches: what the store can never hold must not take neighbours along.

        What was larger than all that went in was too large for the engine's memory; where smaller
        ones fail too, the cause is another.
        """
        self._is_near_limit = 0 < self._most_stored < requests
        if not self._is_near_limit:
            self._most_stored = 0
        self._most_requests = max(1, requests // 2)

    def stored(self, requests: int) -> None:
        """Let the batches grow again: by doubling, near the limit that was met one by one.

        Doubling would meet it with every second batch, whose work is lost each time.
        """
        self._most_stored = max(self._most_stored, requests)
        more = self._most_requests + 1 if self._is_near_limit else self._most_requests * 2
        self._most_requests = min(self._config.max_requests, more)

    def _credit(self, now: float) -> float:
        if self._credit_at > float("-inf"):
            refill_s = (now - self._credit_at) * self._config.little_share
            self._credit_s = min(_MOST_CREDIT_S, self._credit_s + refill_s)
        self._credit_at = now
        return self._credit_s
