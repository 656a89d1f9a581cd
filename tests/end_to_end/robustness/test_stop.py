"""The first signal drains, the second ends; every sender has an answer either way."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest


async def test_first_signal_drains_and_answers_every_sender(serve, load):
    processor = await asyncio.to_thread(serve)
    senders = load(spans=20)
    async with senders.on(processor.addresses, http=32, calls=32):
        await senders.has(lambda: len(senders.acknowledged) >= 100)
        started = time.monotonic()
        code = await asyncio.to_thread(processor.stop)
        took_s = time.monotonic() - started
    assert code == 0, processor.said()
    assert took_s < 15
    assert senders.wrong == []
    again = await asyncio.to_thread(serve)
    stored = await asyncio.to_thread(again.stored)
    assert {trace: stored.get(trace) for trace in senders.acknowledged} == senders.acknowledged


@pytest.mark.slow
async def test_what_cannot_be_committed_in_time_is_refused_with_a_retry(serve, load, until):
    # A batch whose window never ends within the test's patience, and no time to drain it.
    slow = "[batch]\nwindow_s = 60\nlongest_window_s = 60\ndrain_s = 0.0\nlittle_share = 0.0\n"
    processor = await asyncio.to_thread(serve, None, slow)
    senders = load(spans=20)
    async with senders.on(processor.addresses, http=4, calls=4):
        await asyncio.to_thread(until, lambda: _in_flight(processor, 8), "8 requests in flight")
        assert await asyncio.to_thread(processor.stop) == 0
    assert senders.refused["HTTP 503"] >= 4, senders
    assert senders.refused["UNAVAILABLE"] >= 4, senders
    assert senders.wrong == []


def _in_flight(processor, requests):
    return f"tollway_in_flight_requests {requests}\n" in processor.get("/metrics")[1]


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
async def test_second_signal_ends_at_once_and_loses_nothing(serve, load, number):
    processor = await asyncio.to_thread(serve, None, "[batch]\ndrain_s = 60\n")
    senders = load(spans=2000, content_bytes=2000)
    async with senders.on(processor.addresses, http=4, calls=4):
        await senders.has(lambda: senders.acknowledged)
        processor.process.send_signal(number)
        await senders.has(lambda: "shutting down" in processor.said())
        started = time.monotonic()
        code = await asyncio.to_thread(processor.stop, number)
        took_s = time.monotonic() - started
    assert code == 1
    assert took_s < 2
    assert "told twice" in processor.said()
    again = await asyncio.to_thread(serve)
    stored = await asyncio.to_thread(again.stored)
    assert {trace: stored.get(trace) for trace in senders.acknowledged} == senders.acknowledged
