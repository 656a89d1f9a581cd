"""SIGKILL at random moments under load of both protocols: what was acknowledged is stored."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest


async def kill_again_and_again(serve, load, rounds, seed):
    """Kill the processor `rounds` times; return the senders and what the last store holds."""
    moments = random.Random(seed)
    senders = load(spans=8, seed=seed)
    processor = await asyncio.to_thread(serve)
    for _ in range(rounds):
        before = len(senders.acknowledged)
        async with senders.on(processor.addresses, http=6, calls=6):
            await senders.has(lambda seen=before: len(senders.acknowledged) > seen)
            await asyncio.sleep(moments.uniform(0.0, 1.0))
            processor.process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(processor.process.wait)
        assert len(senders.acknowledged) > before
        processor = await asyncio.to_thread(serve)
    stored = await asyncio.to_thread(processor.stored)
    assert processor.get("/readyz") == (200, "ready\n")
    return senders, stored


async def check(serve, load, rounds, seed):
    senders, stored = await kill_again_and_again(serve, load, rounds, seed)
    assert senders.wrong == []
    found = {trace: stored.get(trace) for trace in senders.acknowledged}
    assert found == senders.acknowledged
    # What was cut off may be stored or not, but never in part.
    assert set(stored.values()) == {senders.spans}


@pytest.mark.slow
async def test_kills_lose_no_acknowledged_span(serve, load):
    await check(serve, load, rounds=3, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
async def test_many_kills_lose_no_acknowledged_span(serve, load, seed):
    await check(serve, load, rounds=15, seed=seed)
