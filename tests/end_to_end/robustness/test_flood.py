"""Ten times what can be stored: memory stays under its limit, and every span has an answer."""

from __future__ import annotations

import asyncio

import pytest

MIB = 1 << 20
# 320 for the engine, 400 for the process at rest, 32 in flight some times over: what was decoded,
# what gRPC holds before it asks, and pages that the allocators keep.
RSS_LIMIT = 1280 * MIB
IDLE_LIMIT = 450 * MIB
LITTLE = """
[receive.limits]
in_flight_bytes = 33554432
[engine]
memory_bytes = 335544320
"""


@pytest.mark.slow
async def test_flood_is_stored_or_refused_within_the_memory_limit(serve, load, until):
    processor = await asyncio.to_thread(serve, None, LITTLE)
    # What making the tables took is given back a moment after the start.
    await asyncio.to_thread(until, lambda: processor.memory() < IDLE_LIMIT, "the processor at rest")
    idle_bytes = processor.memory()
    flood = load(spans=512, content_bytes=2000)
    async with flood.on(processor.addresses, http=20, calls=20):
        await asyncio.sleep(10)  # the length of the flood
    peak_bytes = processor.memory("VmHWM")
    stored = await asyncio.to_thread(processor.stored)
    print(
        f"idle {idle_bytes / MIB:.0f} MiB, peak {peak_bytes / MIB:.0f} MiB, acknowledged "
        f"{len(flood.acknowledged)}, refused {dict(flood.refused)}, broken {flood.broken}"
    )
    assert flood.wrong == []
    assert flood.broken == 0
    assert sum(flood.refused.values()) > len(flood.acknowledged) > 0
    assert {trace: stored.get(trace) for trace in flood.acknowledged} == flood.acknowledged
    assert peak_bytes < RSS_LIMIT
