"""Ten times what can be stored: memory stays under its limit, and every span has an answer."""

from __future__ import annotations

import asyncio

import pytest

MIB = 1 << 20
RSS_LIMIT = 1024 * MIB  # with every limit at its default
IDLE_LIMIT = 450 * MIB


@pytest.mark.slow
@pytest.mark.parametrize(("spans", "http", "calls"), [(512, 100, 100), (5000, 20, 20)])
async def test_flood_is_stored_or_refused_within_the_memory_limit(
    serve, load, until, spans, http, calls
):
    processor = await asyncio.to_thread(serve)
    # What making the tables took is given back a moment after the start.
    await asyncio.to_thread(until, lambda: processor.memory() < IDLE_LIMIT, "the processor at rest")
    idle_bytes = processor.memory()
    flood = load(spans=spans, content_bytes=2000)
    async with flood.on(processor.addresses, http=http, calls=calls):
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
    await asyncio.to_thread(
        until, lambda: processor.memory() < idle_bytes + 200 * MIB, "the memory given back"
    )
