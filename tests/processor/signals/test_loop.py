"""The roll-up goes on after a failure, ours or the store's, and tells how far behind it is."""

from __future__ import annotations

import asyncio
import time

import pytest

from tollway_processor.config import Config
from tollway_processor.errors import RetryableError
from tollway_processor.ingest.counters import Counters
from tollway_processor.signals.alerts.outbox import Outbox
from tollway_processor.signals.loop import LONGEST_REST_S, SignalsLoop
from tollway_processor.signals.rollup import Rollup


@pytest.mark.parametrize("fault", [RetryableError("the disk is full"), KeyError("a bug")])
async def test_failure_is_counted_told_once_and_the_next_run_does_the_work(
    store, monkeypatch, caplog, fault
):
    counters = Counters()
    config = Config(rollup_interval_s=0.01)
    loop = SignalsLoop(store, config, lambda: 1, counters, Outbox(store), lambda: None)
    stopping, work, calls = asyncio.Event(), loop._work, []

    def fail_twice(is_last):
        calls.append(is_last)
        if len(calls) <= 2:
            raise fault
        if len(calls) == 3:
            assert counters.value("tollway_rollup_failures_total") == 2
        work(is_last)
        running.call_soon_threadsafe(stopping.set)

    running = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "_work", fail_twice)
    async with asyncio.timeout(30):
        await loop.run(stopping)
    assert calls[-1], "the last run takes everything in"
    assert counters.value("tollway_rollup_failures_total") == 2
    lines = [r for r in caplog.records if "the roll-up failed" in r.getMessage()]
    assert len(lines) == (1 if isinstance(fault, RetryableError) else 2)
    text = counters.text()
    assert "tollway_rollup_seconds_count" in text
    (lag,) = [line for line in text.splitlines() if line.startswith("tollway_rollup_lag_seconds ")]
    assert float(lag.split()[1]) < 10


async def test_statistics_that_a_crash_left_unevaluated_are_evaluated_at_the_next_start(
    store, play
):
    play("cut off", 40)
    Rollup(store).run()
    alerted = asyncio.Event()
    outbox = Outbox(store)
    loop = SignalsLoop(store, Config(), time.time_ns, Counters(), outbox, alerted.set)
    stopping = asyncio.Event()
    stopping.set()
    await loop.run(stopping)
    (verdict,) = store.rows("SELECT verdict FROM latest_route_verdicts WHERE route = 'cut off'")
    assert verdict["verdict"] == "ROLLBACK"
    async with asyncio.timeout(30):
        await alerted.wait()


@pytest.mark.parametrize(
    ("touched", "worked_s", "is_behind", "rest_s"),
    [
        (1, 0.0, False, 0.5),
        (1, 1.0, False, 3.0),
        (1, 1.0, True, 1.0),
        (1, 60.0, False, LONGEST_REST_S),
        (5000, 0.5, False, 5.0),
        (100_000, 0.5, False, LONGEST_REST_S),
        (100_000, 3.0, False, 4.0),
        (100_000, 5.0, False, 5.0),
        (5000, 1.0, True, 1.0),
    ],
)
def test_rest_leaves_the_core_to_others_and_nothing_later_than_promised(
    store, touched, worked_s, is_behind, rest_s
):
    config = Config(rollup_interval_s=0.5)
    loop = SignalsLoop(store, config, lambda: 1, Counters(), Outbox(store), lambda: None)
    loop._rollup.touched, loop._last_s, loop._is_behind = touched, worked_s, is_behind
    assert loop._rest_s() == rest_s
