"""The way of one decoded body, the same for both protocols: check, queue, commit, receipt."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from tollway_processor.errors import TollwayError
from tollway_processor.ingest.batcher import Receipt
from tollway_processor.ingest.counters import Counters
from tollway_processor.ingest.notices import Notices
from tollway_processor.receive.answers import Failure, failure
from tollway_processor.receive.budget import Budget, Lease
from tollway_processor.receive.check import check
from tollway_processor.receive.limits import Limits
from tollway_processor.receive.otlp_json import refuse_snake_case
from tollway_processor.store.client import Signal

logger = logging.getLogger(__name__)

_REASON_CHARACTERS = 80  # a refusal's reason as a label: short, and the same for many spans


class Submit(Protocol):
    """What the batcher does with a checked body."""

    async def submit(
        self, signal: Signal, body: bytes, project: str = "", *, is_replay: bool = False
    ) -> Receipt:
        """Store one checked request; return after its commit."""


class Intake:
    """Takes bodies in within one budget; shared by all receivers of the process."""

    def __init__(self, batcher: Submit, limits: Limits, counters: Counters) -> None:
        self.limits = limits
        self.counters = counters
        self.budget = Budget(limits)
        self._batcher = batcher
        self._notices = Notices(logger)
        self._tasks: set[asyncio.Task[Receipt]] = set()
        counters.gauge("tollway_in_flight_requests", lambda: self.budget.requests)
        counters.gauge("tollway_in_flight_bytes", lambda: self.budget.held_bytes)

    async def take(
        self,
        signal: Signal,
        body: bytes,
        project: str,
        lease: Lease,
        to_protobuf: Callable[[bytes], bytes] | None = None,
        *,
        is_replay: bool = False,
    ) -> Receipt:
        """Check and store one body; return after its commit, and close the lease by then.

        A sender that goes away meanwhile cancels nothing: what it sent is stored, and counts
        against the budget until it is. A replay that fails again is no new dead letter. Raises
        PermanentError, RetryableError.
        """
        task = asyncio.create_task(
            self._store(signal, body, project, lease, to_protobuf, is_replay)
        )
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def refused(self, signal: str, error: TollwayError) -> Failure:
        """Count a refusal by its cause and return how it is answered."""
        answer = failure(error)
        self._notices.warn(f"refused {signal}, {answer.cause}", answer.message)
        self.counters.add("tollway_requests_refused_total", signal=signal, cause=answer.cause)
        return answer

    async def _store(
        self,
        signal: Signal,
        body: bytes,
        project: str,
        lease: Lease,
        to_protobuf: Callable[[bytes], bytes] | None,
        is_replay: bool,
    ) -> Receipt:
        with lease:
            told = body
            if to_protobuf is not None:
                body = to_protobuf(body)
                lease.hold(len(body))
            items = check(signal, body, self.limits)
            if not items and to_protobuf is not None:
                refuse_snake_case(told)
            receipt = Receipt()
            if items:
                receipt = await self._batcher.submit(signal, body, project, is_replay=is_replay)
        self._count(signal, items, len(body), receipt)
        return receipt

    def _count(self, signal: Signal, items: int, body_bytes: int, receipt: Receipt) -> None:
        refused = sum(count for _, count in receipt.refused)
        self.counters.add("tollway_requests_total", signal=signal)
        self.counters.add("tollway_items_total", items - refused, signal=signal)
        self.counters.add("tollway_body_bytes_total", body_bytes, signal=signal)
        for reason, count in receipt.refused:
            name = "tollway_items_refused_total"
            self.counters.add(name, count, signal=signal, reason=reason[:_REASON_CHARACTERS])

    def _forget(self, task: asyncio.Task[Receipt]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as seen when the sender is gone: it was counted anyway
