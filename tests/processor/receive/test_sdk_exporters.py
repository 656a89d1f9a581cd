"""The OpenTelemetry SDK's own exporters, both protocols, into the real store."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcSpanExporter,
)
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

from tollway_processor.errors import RetryableError
from tollway_processor.receive.auth import Tokens


def http_exporter(receivers, **options):
    return OTLPSpanExporter(endpoint=receivers.url + "/v1/traces", **options)


def grpc_exporter(receivers, **options):
    return GrpcSpanExporter(endpoint=receivers.target, insecure=True, **options)


EXPORTERS = {
    "http": http_exporter,
    "http gzip": lambda receivers: http_exporter(receivers, compression=Compression.Gzip),
    "http deflate": lambda receivers: http_exporter(receivers, compression=Compression.Deflate),
    "grpc": grpc_exporter,
}


def emit(exporter, spans: int) -> str:
    """Export some spans of one trace as an app does; return the trace's id."""
    provider = TracerProvider(resource=Resource({"service.name": "agent"}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("agent")
    with tracer.start_as_current_span("turn") as turn:
        for index in range(spans - 1):
            with tracer.start_as_current_span("chat gpt-4o", kind=SpanKind.CLIENT) as span:
                span.set_attribute("gen_ai.request.model", "gpt-4o")
                span.set_attribute("gen_ai.usage.input_tokens", index)
    assert provider.force_flush(20_000)
    provider.shutdown()
    return format(turn.get_span_context().trace_id, "032x")


def stored(receivers, trace_id: str) -> int:
    rows = receivers.store.real.rows(
        "SELECT count() AS spans FROM spans FINAL WHERE trace_id = {id:String}", {"id": trace_id}
    )
    return int(str(rows[0]["spans"]))


@pytest.mark.parametrize("name", EXPORTERS)
async def test_spans_of_the_sdk_are_stored_when_its_flush_returns(receivers, name):
    trace_id = await asyncio.to_thread(emit, EXPORTERS[name](receivers), 40)
    assert stored(receivers, trace_id) == 40


@pytest.mark.parametrize("name", ["http", "grpc"])
async def test_sdk_retries_what_the_store_could_not_take(receivers, name):
    receivers.store.failures.append(RetryableError("the store is restarting", delay_s=0.05))
    trace_id = await asyncio.to_thread(emit, EXPORTERS[name](receivers), 5)
    assert stored(receivers, trace_id) == 5
    assert receivers.counters.value("tollway_requests_refused_total", cause="unavailable") == 1


async def test_sdk_sends_its_token(serve):
    async with serve(tokens=Tokens({"s3cret": "checkout"})) as receivers:
        exporter = http_exporter(receivers, headers={"authorization": "Bearer s3cret"})
        trace_id = await asyncio.to_thread(emit, exporter, 2)
        assert stored(receivers, trace_id) == 2


@pytest.mark.parametrize("name", ["http", "grpc"])
async def test_evaluation_events_of_the_sdk_are_stored_as_scores(receivers, name):
    if name == "http":
        exporter = OTLPLogExporter(endpoint=receivers.url + "/v1/logs")
    else:
        exporter = GrpcLogExporter(endpoint=receivers.target, insecure=True)
    trace_id = int(time.time_ns()) << 32 | len(name)

    def send() -> None:
        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        record = LogRecord(
            timestamp=time.time_ns(),
            event_name="gen_ai.evaluation.result",
            severity_number=SeverityNumber.INFO,
            trace_id=trace_id,
            span_id=7,
            attributes={
                "gen_ai.evaluation.name": "groundedness",
                "gen_ai.evaluation.score.value": 0.25,
            },
        )
        provider.get_logger("agent").emit(record)
        assert provider.force_flush(20_000)
        provider.shutdown()

    await asyncio.to_thread(send)
    rows = receivers.store.real.rows(
        "SELECT name, value FROM scores FINAL WHERE trace_id = {id:String}",
        {"id": format(trace_id, "032x")},
    )
    assert [(row["name"], row["value"]) for row in rows] == [("groundedness", 0.25)]
    assert logging.getLogger("opentelemetry").level == logging.NOTSET
