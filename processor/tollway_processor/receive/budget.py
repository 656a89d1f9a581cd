"""The budget of bytes and requests in flight; intake.py and the receivers spend it."""

from __future__ import annotations

from types import TracebackType

from tollway_processor.errors import OverloadError, RetryableError
from tollway_processor.receive.limits import Limits


class Lease:
    """One request's share of the budget; given back once, by close() or at the end of a `with`."""

    def __init__(self, budget: Budget, held_bytes: int) -> None:
        self._budget = budget
        self.held_bytes = held_bytes
        self._is_open = True

    def hold(self, total_bytes: int) -> None:
        """Grow to `total_bytes`; raises OverloadError when the budget has no room for it."""
        more = total_bytes - self.held_bytes
        if more > 0:
            self._budget.take(more)
            self.held_bytes = total_bytes

    def settle(self, total_bytes: int) -> None:
        """Become `total_bytes`, which are in memory already: too late to be refused."""
        self._budget.held_bytes += total_bytes - self.held_bytes
        self.held_bytes = total_bytes

    def close(self) -> None:
        """Give the share back; a second call changes nothing."""
        if self._is_open:
            self._is_open = False
            self._budget.give_back(self.held_bytes)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Budget:
    """Counts what is in flight; used from the event loop alone, so it needs no lock."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.requests = 0
        self.held_bytes = 0
        self._is_draining = False

    def open(self, expected_bytes: int) -> Lease:
        """Admit one request that will take `expected_bytes`.

        Raises OverloadError when the budget is spent, RetryableError after drain().
        """
        if self._is_draining:
            raise RetryableError("the receiver is shutting down; send again to its successor")
        if self.requests >= self._limits.in_flight_requests:
            raise OverloadError(
                f"{self.requests} requests are in flight, the most allowed; send again later",
                delay_s=self._limits.retry_delay_s,
            )
        self.take(expected_bytes)
        self.requests += 1
        return Lease(self, expected_bytes)

    def take(self, more_bytes: int) -> None:
        """Add bytes to what is in flight, or raise OverloadError and add none."""
        if self.held_bytes + more_bytes > self._limits.in_flight_bytes:
            raise OverloadError(
                f"{self.held_bytes} bytes are in flight and {more_bytes} more would pass "
                f"{self._limits.in_flight_bytes}; send again later",
                delay_s=self._limits.retry_delay_s,
            )
        self.held_bytes += more_bytes

    def give_back(self, held_bytes: int) -> None:
        """Take one finished request out of the count."""
        self.requests -= 1
        self.held_bytes -= held_bytes

    def drain(self) -> None:
        """Admit no further request."""
        self._is_draining = True
