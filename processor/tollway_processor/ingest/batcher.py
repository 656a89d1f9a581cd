"""Group commit: gathers requests, hands them to the store in batches, answers after the commit.

What a batch is split into when the store refuses it is left to commit.py.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import NamedTuple

from tollway_processor.errors import RetryableError, TollwayError
from tollway_processor.ingest.commit import Commit, Outcome
from tollway_processor.ingest.config import BatchConfig
from tollway_processor.ingest.counters import Counters
from tollway_processor.ingest.dead_letters import DeadLetters
from tollway_processor.ingest.pace import Pace
from tollway_processor.ingest.stamps import Stamps
from tollway_processor.store.client import Delivery, Signal, Store

_COMMIT_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_TROUBLE_S = 15.0
_BATCH_REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128)


class Receipt(NamedTuple):
    """What became of a stored request: the spans that were refused, as (reason, count)."""

    refused: tuple[tuple[str, int], ...] = ()


class _Entry(NamedTuple):
    delivery: Delivery
    answer: asyncio.Future[Receipt]
    queued_at: float

    def fail(self, error: TollwayError) -> None:
        if not self.answer.done():  # its sender may have gone away
            self.answer.set_exception(error)


class _Batch(NamedTuple):
    started_at: float
    entries: list[_Entry]


def _stopped() -> RetryableError:
    return RetryableError("the processor stopped before this was stored; send again")


class _Queue:
    """The requests of one signal that wait for a commit, and the pace of its commits."""

    def __init__(self, config: BatchConfig) -> None:
        self._config = config
        self._entries: deque[_Entry] = deque()
        self.held_bytes = 0
        self.pace = Pace(config)
        self.timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: _Entry) -> None:
        self._entries.append(entry)
        self.held_bytes += len(entry.delivery.body)

    def wait_s(self, now: float) -> float:
        oldest = self._entries[0].queued_at
        return self.pace.wait_s(now, oldest, len(self._entries), self.held_bytes)

    def take(self) -> list[_Entry]:
        """Take the oldest requests, one at least, up to the batch's limits."""
        taken: list[_Entry] = []
        taken_bytes = 0
        while self._entries and len(taken) < self.pace.most_requests:
            size = len(self._entries[0].delivery.body)
            if taken and taken_bytes + size > self._config.max_bytes:
                break
            taken.append(self._entries.popleft())
            taken_bytes += size
        self.held_bytes -= taken_bytes
        return taken

    def refuse(self, error: RetryableError) -> None:
        while self._entries:
            self._entries.popleft().fail(error)
        self.held_bytes = 0

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Batcher:
    """Commits requests in groups; made and used on one event loop, commits run in threads."""

    def __init__(
        self,
        store: Store,
        config: BatchConfig | None = None,
        *,
        counters: Counters | None = None,
        dead_letters: DeadLetters | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._config = config or BatchConfig()
        self._counters = counters or Counters()
        self._stamps = Stamps(now_ns)
        self._commit = Commit(store, self._stamps, self._counters, dead_letters)
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(
            self._config.parallel, thread_name_prefix="tollway-commit"
        )
        self._queues: dict[Signal, _Queue] = {
            "traces": _Queue(self._config),
            "logs": _Queue(self._config),
        }
        self._running: set[asyncio.Task[None]] = set()
        self._committing: list[_Batch] = []  # the oldest first
        self._is_draining = False
        self._trouble, self._trouble_at = "", float("-inf")
        self._counters.gauge("tollway_queue_bytes", lambda: self.queued_bytes)

    @property
    def queued_bytes(self) -> int:
        """Bytes of the requests that wait for a commit."""
        return sum(queue.held_bytes for queue in self._queues.values())

    @property
    def trouble(self) -> str:
        """What keeps the store from committing, empty when nothing is known to.

        Forgotten after some seconds without an attempt: else a process that nobody sends to, since
        it is not ready, would never find out that the cause is gone.
        """
        now = self._loop.time()
        if self._committing and (age_s := now - self._committing[0].started_at) > _TROUBLE_S:
            return f"a commit has been running for {age_s:.0f} s; the store is stuck or very slow"
        return self._trouble if now - self._trouble_at < _TROUBLE_S else ""

    async def submit(
        self, signal: Signal, body: bytes, project: str = "", *, is_replay: bool = False
    ) -> Receipt:
        """Store one checked request; return after its commit.

        Raises PermanentError when the engine cannot decode it, RetryableError when the store is
        down or this process is stopping. A caller that is cancelled takes nothing back.
        """
        if self._is_draining:
            raise RetryableError("the processor is shutting down; send again to its successor")
        answer: asyncio.Future[Receipt] = self._loop.create_future()
        delivery = Delivery(body, project, is_replay)
        self._queues[signal].put(_Entry(delivery, answer, self._loop.time()))
        self._consider(signal)
        return await answer

    def stamp(self) -> AbstractContextManager[int]:
        """Lend a stamp (ns) to what else changes spans, so that the roll-up does not miss it."""
        return self._stamps.next()

    def committed_before_ns(self) -> int:
        """Return a stamp below which every batch is committed, or was refused to its senders."""
        return self._stamps.committed_before_ns()

    async def drain(self, deadline_s: float | None = None) -> None:
        """Take no more requests and commit what is queued; refuse the rest with a retry.

        The rest is also what a running commit holds: it may yet be stored, and a span that comes
        twice is stored once.
        """
        self._is_draining = True
        end = self._loop.time() + (self._config.drain_s if deadline_s is None else deadline_s)
        for signal in self._queues:
            self._consider(signal)
        while self._running and (left_s := end - self._loop.time()) > 0:
            await asyncio.wait(self._running, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        self._refuse_queued()
        for batch in self._committing:
            for entry in batch.entries:
                entry.fail(_stopped())

    async def close(self) -> None:
        """Refuse what is queued, wait for the commits that run, and end the threads."""
        self._is_draining = True
        self._refuse_queued()
        if self._running:
            await asyncio.wait(self._running)
        self._threads.shutdown(wait=True)

    def _refuse_queued(self) -> None:
        for queue in self._queues.values():
            queue.stop_timer()
            queue.refuse(_stopped())

    def _consider(self, signal: Signal) -> None:
        """Start the commits that are due, and set the timer for the next one."""
        queue = self._queues[signal]
        queue.stop_timer()
        while queue and queue.pace.running < self._config.parallel:
            wait_s = 0.0 if self._is_draining else queue.wait_s(self._loop.time())
            if wait_s > 0:
                queue.timer = self._loop.call_later(wait_s, self._consider, signal)
                return
            queue.pace.started(self._loop.time())
            batch = _Batch(self._loop.time(), queue.take())
            self._committing.append(batch)
            task = self._loop.create_task(self._run(signal, queue, batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, signal: Signal, queue: _Queue, batch: _Batch) -> None:
        started, entries = batch
        deliveries = [entry.delivery for entry in entries]
        size = sum(len(delivery.body) for delivery in deliveries)
        try:
            outcomes = await self._loop.run_in_executor(
                self._threads, self._commit.store, signal, deliveries
            )
        finally:
            self._committing.remove(batch)
            now = self._loop.time()
            queue.pace.finished(now, now - started, len(entries), size, len(queue))
        self._answer(queue, entries, outcomes)
        self._counters.observe("tollway_commit_seconds", now - started, _COMMIT_SECONDS)
        self._counters.observe("tollway_batch_requests", len(entries), _BATCH_REQUESTS)
        self._consider(signal)

    def _answer(
        self, queue: _Queue, entries: Sequence[_Entry], outcomes: Sequence[Outcome]
    ) -> None:
        if all(isinstance(outcome, RetryableError) for outcome in outcomes):
            queue.pace.failed(len(entries))
            self._trouble, self._trouble_at = str(outcomes[0]), self._loop.time()
        else:
            queue.pace.stored(len(entries))
            self._trouble = ""
        for entry, outcome in zip(entries, outcomes, strict=True):
            if isinstance(outcome, TollwayError):
                entry.fail(outcome)
            elif not entry.answer.done():
                entry.answer.set_result(Receipt(tuple(outcome)))
