"""Own the sending of spans: which OTLP exporter, and what happens while nobody listens.

The SDK's batch processor queues, and its worker thread sends; there is no thread beside it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from tollway._patient import PatientExporter

DEFAULT_HTTP = "http://127.0.0.1:4318"
DEFAULT_GRPC = "http://127.0.0.1:4317"
_TRACES_PATH = "/v1/traces"
_QUEUE_SPANS = 8192


class ExportProcessor(SpanProcessor):
    """A batch processor with Tollway's exporter, that can be closed and opened anew."""

    def __init__(self, exporter: PatientExporter) -> None:
        self._exporter = exporter
        self._batch: BatchSpanProcessor | None = None
        self._queued, self._capacity = 0, _QUEUE_SPANS
        self._count = threading.Lock()

    @classmethod
    def build(
        cls, *, endpoint: str | None, headers: Mapping[str, str] | None, protocol: str | None
    ) -> ExportProcessor:
        """Build one for an OTLP endpoint; raises ImportError naming the extra that is missing."""
        return cls(open_exporter(endpoint, headers, protocol))

    def open(self) -> None:
        """Start the queue and its worker."""
        # The environment's own setting, where there is one, is left to the SDK.
        size = None if "OTEL_BSP_MAX_QUEUE_SIZE" in os.environ else _QUEUE_SPANS
        self._queued, self._capacity = 0, size or sys.maxsize
        self._exporter.on_taken = self._taken
        self._batch = BatchSpanProcessor(self._exporter, max_queue_size=size)

    def take_over(self, newer: ExportProcessor) -> None:
        """Send to another's endpoint from here on."""
        self.close()
        self._exporter = newer._exporter
        self.open()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        return None

    def on_end(self, span: ReadableSpan) -> None:
        batch = self._batch
        if batch is None:
            return
        with self._count:
            is_full = self._queued >= self._capacity
            self._queued += not is_full
        if is_full and self._exporter.is_waiting:
            # The SDK warns of a full queue; one warning of the receiver says it all.
            self._exporter.lost_batches += 1
            return
        batch.on_end(span)

    def _taken(self, spans: int) -> None:
        """Note that the worker took spans out of the queue."""
        with self._count:
            self._queued = max(self._queued - spans, 0)

    def force_flush(self, timeout_millis: int | None = None) -> bool:
        if self._batch is None:
            return True
        lost_before = self._exporter.lost_batches
        with self._exporter.in_haste((timeout_millis or 30_000) / 1000):
            flushed = self._batch.force_flush(timeout_millis)
        return flushed and self._exporter.lost_batches == lost_before

    def close(self) -> None:
        """Send what is queued, for a few seconds at most, and stop the worker."""
        batch, self._batch = self._batch, None
        if batch is not None:
            self._exporter.begin_close()
            untyped: Any = batch  # the SDK leaves its shutdown untyped
            untyped.shutdown()

    def shutdown(self) -> None:
        self.close()


def open_exporter(
    endpoint: str | None, headers: Mapping[str, str] | None, protocol: str | None
) -> PatientExporter:
    """Return an exporter for the endpoint and protocol given, or those of the environment."""
    wire = (
        protocol
        or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "http/protobuf"
    )
    given = endpoint or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    base = None if given else os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if wire in {"http/protobuf", "http"}:
        url = _http_url(endpoint) or given or _http_url(base) or _http_url(DEFAULT_HTTP) or ""
        return PatientExporter(_http_exporter(url, headers), url)
    if wire == "grpc":
        url = given or base or DEFAULT_GRPC
        return PatientExporter(_grpc_exporter(url, headers), url)
    raise ValueError(f"protocol {wire!r} is unknown: use 'http/protobuf' or 'grpc'")


def _http_url(base: str | None) -> str | None:
    """Return the traces URL of a base URL."""
    if not base:
        return None
    url = base if "://" in base else f"http://{base}"
    url = url.rstrip("/")
    return url if url.endswith(_TRACES_PATH) else url + _TRACES_PATH


def _http_exporter(url: str, headers: Mapping[str, str] | None) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=url, headers=dict(headers) if headers else None)


def _grpc_exporter(url: str, headers: Mapping[str, str] | None) -> SpanExporter:
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    except ImportError as exc:
        raise ImportError(
            "protocol='grpc' needs the gRPC exporter: pip install 'tollway[grpc]'"
        ) from exc
    insecure = None if url.startswith("https://") else True
    # gRPC takes metadata keys in lower case only.
    metadata = {key.lower(): value for key, value in headers.items()} if headers else None
    return OTLPSpanExporter(endpoint=url, insecure=insecure, headers=metadata)
