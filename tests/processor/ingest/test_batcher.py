"""Group commit against a store under the test's control: what is gathered, when, and answered.

The store here only records: the engine itself is at work in test_commit.py and tests/receive.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from tollway_processor.errors import PermanentError, RetryableError, StoreError
from tollway_processor.ingest.batcher import Batcher, Receipt
from tollway_processor.ingest.config import BatchConfig
from tollway_processor.ingest.counters import Counters
from tollway_processor.store.client import Delivery, Refusal


class RecordingStore:
    """Records batches, waits at its gate, and refuses as `verdict` says."""

    url = "test"

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.stamps_ns: list[int] = []
        self.tokens: list[str] = []
        self.projects: list[str] = []
        self.at_work = 0
        self.gate = threading.Event()
        self.gate.set()
        self.verdict: Callable[[list[bytes]], list[Refusal]] = lambda bodies: []

    def ingest(
        self, signal: str, batch: Sequence[Delivery], *, token: str, ingested_at_ns: int
    ) -> list[Refusal]:
        self.stamps_ns.append(ingested_at_ns)
        self.tokens.append(token)
        self.at_work += 1
        try:
            assert self.gate.wait(20), "the test never opened the gate"
            bodies = [delivery.body for delivery in batch]
            refusals = self.verdict(bodies)
            self.batches.append(bodies)
            self.projects.extend(delivery.project for delivery in batch)
            return refusals
        finally:
            self.at_work -= 1

    @property
    def stored(self) -> set[bytes]:
        return {body for batch in self.batches for body in batch}


@pytest.fixture
def recording_store() -> RecordingStore:
    return RecordingStore()


@pytest.fixture
def counters() -> Counters:
    return Counters()


Make = Callable[..., Batcher]


@pytest.fixture
async def make(recording_store, counters) -> AsyncIterator[Make]:
    batchers: list[Batcher] = []

    def build(**config: float) -> Batcher:
        batchers.append(Batcher(recording_store, BatchConfig(**config), counters=counters))
        return batchers[-1]

    yield build
    recording_store.gate.set()
    for batcher in batchers:
        await batcher.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # what is awaited sets no event
            await asyncio.sleep(0.002)


def submit(batcher: Batcher, *bodies: bytes) -> list[asyncio.Task[Receipt]]:
    return [asyncio.create_task(batcher.submit("traces", body)) for body in bodies]


async def test_lone_request_is_committed_at_once_and_answered_after(make, recording_store):
    batcher = make(window_s=60.0)
    recording_store.gate.clear()
    (answer,) = submit(batcher, b"one")
    await until(lambda: recording_store.at_work == 1)
    assert not answer.done()
    recording_store.gate.set()
    assert await answer == Receipt(())
    assert recording_store.batches == [[b"one"]]


async def test_requests_that_come_during_a_commit_share_the_next_one(make, recording_store):
    batcher = make(window_s=0.05, parallel=1)
    recording_store.gate.clear()
    answers = submit(batcher, b"first")
    await until(lambda: recording_store.at_work == 1)
    answers += submit(batcher, *(b"%d" % n for n in range(30)))
    await asyncio.sleep(0)
    recording_store.gate.set()
    await asyncio.gather(*answers)
    assert [len(batch) for batch in recording_store.batches] == [1, 30]


@pytest.mark.parametrize(
    ("config", "sizes"),
    [({"max_requests": 4}, [4, 4, 2]), ({"max_bytes": 300}, [3, 3, 3, 1])],
)
async def test_full_batch_does_not_wait_for_its_window(make, recording_store, config, sizes):
    batcher = make(window_s=60.0, parallel=1, **config)
    recording_store.gate.clear()
    answers = submit(batcher, b"first")
    await until(lambda: recording_store.at_work == 1)
    answers += submit(batcher, *(b"%100d" % n for n in range(10)))
    recording_store.gate.set()
    await asyncio.gather(*answers[: sum(sizes[:-1])])
    await batcher.drain()
    await asyncio.gather(*answers)
    assert [len(batch) for batch in recording_store.batches] == [1, *sizes]


async def test_full_batches_run_in_parallel_up_to_the_limit(make, recording_store):
    batcher = make(window_s=60.0, max_requests=2, parallel=2)
    recording_store.gate.clear()
    answers = submit(batcher, *(b"%d" % n for n in range(6)))
    await until(lambda: recording_store.at_work == 2)
    assert batcher.queued_bytes == 3  # the first went alone, the next two were full
    recording_store.gate.set()
    await asyncio.gather(*answers)
    assert len(recording_store.stored) == 6


async def test_body_larger_than_a_batch_is_committed_alone(make, recording_store):
    batcher = make(max_bytes=10)
    await asyncio.gather(*submit(batcher, b"x" * 50, b"y" * 50))
    assert sorted(map(len, recording_store.batches)) == [1, 1]


async def test_signals_are_never_mixed_and_projects_are_handed_on(make, recording_store):
    batcher = make()
    await asyncio.gather(
        batcher.submit("traces", b"span", "checkout"), batcher.submit("logs", b"log", "search")
    )
    assert sorted(recording_store.batches) == [[b"log"], [b"span"]]
    assert sorted(recording_store.projects) == ["checkout", "search"]


async def test_refused_spans_reach_the_sender_they_belong_to(make, recording_store):
    batcher = make(parallel=1)
    recording_store.verdict = lambda bodies: [
        refusal
        for index, body in enumerate(bodies)
        if body.startswith(b"bad")
        for refusal in (Refusal(index, "no id", 2), Refusal(index, "no id", 1))
    ]
    answers = await asyncio.gather(*submit(batcher, b"a", b"bad 1", b"b", b"bad 2"))
    expected = Receipt((("no id", 3),))
    assert answers == [Receipt(), expected, Receipt(), expected]


def refusing(*poison: bytes) -> Callable[[list[bytes]], list[Refusal]]:
    def verdict(bodies: list[bytes]) -> list[Refusal]:
        if set(bodies) & set(poison):
            raise PermanentError("cannot decode")
        return []

    return verdict


async def gathered(make, recording_store, *bodies: bytes):
    """Submit bodies as one burst; return their answers."""
    batcher = make(window_s=60.0, max_requests=len(bodies), parallel=1)
    return await asyncio.gather(*submit(batcher, *bodies), return_exceptions=True)


@pytest.mark.parametrize("poison", [{3}, {0}, {15}, {2, 3, 11}, set(range(16))])
async def test_only_the_requests_at_fault_are_refused(make, recording_store, counters, poison):
    bodies = [b"%d" % n for n in range(16)]
    recording_store.verdict = refusing(*(bodies[n] for n in poison))
    answers = await gathered(make, recording_store, *bodies)
    assert {n for n, answer in enumerate(answers) if isinstance(answer, PermanentError)} == poison
    assert recording_store.stored == {body for n, body in enumerate(bodies) if n not in poison}
    assert len(set(recording_store.tokens)) == len(recording_store.tokens)
    assert recording_store.stamps_ns == sorted(set(recording_store.stamps_ns))
    assert counters.value("tollway_dead_letters_total") == len(poison)


async def test_one_fault_in_a_batch_costs_a_logarithm_of_statements(make, recording_store):
    bodies = [b"%d" % n for n in range(64)]
    recording_store.verdict = refusing(bodies[17])
    await gathered(make, recording_store, *bodies)
    assert len(recording_store.tokens) <= 2 + 2 * 6  # the first request went alone


@pytest.mark.parametrize(
    "error", [RetryableError("down", delay_s=7), StoreError("boom", code=999), KeyError("a bug")]
)
async def test_failed_store_tells_every_sender_to_retry(make, recording_store, error):
    def fail(bodies: list[bytes]) -> list[Refusal]:
        raise error

    recording_store.verdict = fail
    answers = await gathered(make, recording_store, b"a", b"b", b"c")
    assert all(isinstance(answer, RetryableError) for answer in answers)
    if isinstance(error, RetryableError):
        assert {answer.delay_s for answer in answers} == {7}
    assert not recording_store.stored


async def test_trouble_of_the_store_is_told_until_a_commit_succeeds(make, recording_store):
    def fail(bodies: list[bytes]) -> list[Refusal]:
        raise RetryableError("the disk is full")

    batcher = make()
    assert batcher.trouble == ""
    recording_store.verdict = fail
    await asyncio.gather(*submit(batcher, b"a"), return_exceptions=True)
    assert batcher.trouble == "the disk is full"
    recording_store.verdict = lambda bodies: []
    await asyncio.gather(*submit(batcher, b"a"))
    assert batcher.trouble == ""


async def test_commit_that_does_not_end_is_trouble(make, recording_store, monkeypatch):
    release = threading.Event()

    def hang(bodies: list[bytes]) -> list[Refusal]:
        assert release.wait(30)
        return []

    batcher = make()
    recording_store.verdict = hang
    (answer,) = submit(batcher, b"a")
    task = asyncio.ensure_future(answer)
    await asyncio.sleep(0)
    assert batcher.trouble == ""
    monkeypatch.setattr("tollway_processor.ingest.batcher._TROUBLE_S", 0.0)
    try:
        assert "a commit has been running" in batcher.trouble
    finally:
        release.set()
    await task
    assert batcher.trouble == ""


async def test_request_that_always_exhausts_the_store_ends_up_alone(make, recording_store):
    def verdict(bodies: list[bytes]) -> list[Refusal]:
        if b"huge" in bodies:
            raise RetryableError("memory limit")
        return []

    recording_store.verdict = verdict
    batcher = make(max_requests=8, parallel=1, window_s=0.01, little_share=1.0)
    waiting = {b"huge", *(b"%d" % n for n in range(7))}
    for _ in range(12):  # each round is what senders do: send again what was refused
        bodies = sorted(waiting)
        answers = await asyncio.gather(*submit(batcher, *bodies), return_exceptions=True)
        waiting = {b for b, a in zip(bodies, answers, strict=True) if isinstance(a, Exception)}
        if waiting == {b"huge"}:
            break
    assert waiting == {b"huge"}


async def test_watermark_stays_below_every_batch_in_flight(make, recording_store):
    batcher = make()
    before = time.time_ns()
    assert batcher.committed_before_ns() >= before
    recording_store.gate.clear()
    answers = submit(batcher, b"one")
    await until(lambda: recording_store.at_work == 1)
    assert batcher.committed_before_ns() == recording_store.stamps_ns[0]
    recording_store.gate.set()
    await asyncio.gather(*answers)
    assert batcher.committed_before_ns() > recording_store.stamps_ns[0]


async def test_sender_that_goes_away_takes_nothing_back(make, recording_store):
    batcher = make(parallel=1)
    recording_store.gate.clear()
    answers = submit(batcher, b"first", b"second", b"third")
    await until(lambda: recording_store.at_work == 1)
    for answer in answers:
        answer.cancel()
    recording_store.gate.set()
    await batcher.drain()
    assert recording_store.stored == {b"first", b"second", b"third"}


async def test_drain_commits_what_is_queued_and_takes_no_more(make, recording_store):
    batcher = make(window_s=60.0, parallel=1)
    recording_store.gate.clear()
    answers = submit(batcher, *(b"%d" % n for n in range(5)))
    await until(lambda: recording_store.at_work == 1)
    draining = asyncio.create_task(batcher.drain(20))
    recording_store.gate.set()
    await draining
    assert await asyncio.gather(*answers) == [Receipt()] * 5
    with pytest.raises(RetryableError, match="shutting down"):
        await batcher.submit("traces", b"late")


async def test_drain_refuses_with_a_retry_what_the_deadline_leaves(make, recording_store):
    batcher = make(window_s=60.0, parallel=1)
    recording_store.gate.clear()
    running = submit(batcher, b"running")
    await until(lambda: recording_store.at_work == 1)
    queued = submit(batcher, b"queued")
    await asyncio.sleep(0)
    await batcher.drain(0.05)
    for answer in (*queued, *running):
        with pytest.raises(RetryableError, match="send again"):
            await answer
    recording_store.gate.set()
    await batcher.close()  # what ran is stored nevertheless, and again when it is sent again
    assert recording_store.stored == {b"running"}


async def test_every_request_is_answered_under_a_storm(make, recording_store):
    batcher = make(window_s=0.001, linger_s=0.0, max_requests=7, parallel=3, little_share=1.0)
    recording_store.verdict = refusing(*(b"%d" % n for n in range(0, 500, 50)))
    answers = await asyncio.gather(
        *submit(batcher, *(b"%d" % n for n in range(500))), return_exceptions=True
    )
    refused = [n for n, answer in enumerate(answers) if isinstance(answer, PermanentError)]
    assert refused == list(range(0, 500, 50))
    assert len(recording_store.stored) == 490
    assert batcher.queued_bytes == 0
