"""Halves one OTLP request by its spans; only a request that the engine refused comes here."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tollway_processor.store.client import Signal


def halves(signal: Signal, body: bytes) -> tuple[bytes, bytes] | None:
    """Return two requests that hold half of the spans each, or None when there is but one.

    Resources and scopes are kept on both sides; order is kept.
    """
    count = item_count(signal, body)
    if count < 2:
        return None
    middle = count // 2
    return _part(signal, body, 0, middle), _part(signal, body, middle, count)


def item_count(signal: Signal, body: bytes) -> int:
    """Return how many spans or log records a request holds, 1 when that cannot be told."""
    try:
        if signal == "traces":
            traces = ExportTraceServiceRequest.FromString(body)
            return sum(len(s.spans) for r in traces.resource_spans for s in r.scope_spans)
        logs = ExportLogsServiceRequest.FromString(body)
        return sum(len(s.log_records) for r in logs.resource_logs for s in r.scope_logs)
    except DecodeError:
        return 1


def _part(signal: Signal, body: bytes, start: int, stop: int) -> bytes:
    """Return the request with only the items from `start` up to `stop`."""
    position = 0
    if signal == "traces":
        traces = ExportTraceServiceRequest.FromString(body)
        for span_scope in (s for r in traces.resource_spans for s in r.scope_spans):
            size = len(span_scope.spans)
            del span_scope.spans[max(0, stop - position) :]
            del span_scope.spans[: max(0, start - position)]
            position += size
        return traces.SerializeToString()
    logs = ExportLogsServiceRequest.FromString(body)
    for log_scope in (s for r in logs.resource_logs for s in r.scope_logs):
        size = len(log_scope.log_records)
        del log_scope.log_records[max(0, stop - position) :]
        del log_scope.log_records[: max(0, start - position)]
        position += size
    return logs.SerializeToString()
