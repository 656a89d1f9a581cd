"""Memory stays flat over many calls, broken and abandoned ones included."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult


class Drop(SpanExporter):
    """An exporter that counts and drops."""

    def __init__(self) -> None:
        self.count = 0

    def export(self, spans: Any) -> SpanExportResult:
        self.count += len(spans)
        return SpanExportResult.SUCCESS


def _round(client: Any, wire: Any, samples: Any, ask: Any) -> int:
    """Make calls that end in every way; return how many."""
    import openai

    def next_is(answer: Any) -> None:
        wire.answers.clear()
        wire.requests.clear()
        answer()

    next_is(lambda: wire.says(samples.chat()))
    ask(client)
    next_is(lambda: wire.streams(samples.stream()))
    list(ask(client, stream=True))
    for _ in ask(client, stream=True):
        break
    ask(client, stream=True)
    with ask(client, stream=True) as stream:
        next(stream)
    client.chat.completions.with_raw_response.create(model="m", messages=[], stream=True)
    next_is(lambda: wire.streams(samples.stream()[:1], error=wire.http.ReadError("gone")))
    with pytest.raises((openai.APIConnectionError, wire.http.ReadError)):
        list(ask(client, stream=True))
    next_is(lambda: wire.says({}, status=500))
    with pytest.raises(openai.InternalServerError):
        ask(client)
    return 8


@pytest.mark.parametrize("rounds", [60, pytest.param(2500, marks=pytest.mark.slow)])
def test_memory_is_flat(wire: Any, samples: Any, ask: Any, rounds: int) -> None:
    import tollway

    exporter = Drop()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tollway.instrument(tracer_provider=provider, langchain=False)
    client = wire.client()
    calls = sum(_round(client, wire, samples, ask) for _ in range(20))
    gc.collect()
    tracemalloc.start()
    base = tracemalloc.get_traced_memory()[0]
    calls += sum(_round(client, wire, samples, ask) for _ in range(rounds))
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - base
    tracemalloc.stop()

    assert exporter.count == calls
    assert grown < 200_000, f"{grown} bytes over {rounds * 8} calls"
