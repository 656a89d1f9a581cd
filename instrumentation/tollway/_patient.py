"""Own the exporter that waits for a receiver, says once that nobody listens, and lets the app end.

It wraps the SDK's OTLP exporter, whose own retries hold up an app's exit and log at each batch.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tollway import attributes as attr
from tollway._guard import warn_once

MAX_BATCH_CHARS = 3 * 1024 * 1024
"""Content of one request: OTLP receivers commonly take 4 MiB a message."""
PATIENCE_S = 8.0
"""How long the first batch waits for a receiver: one that is starting, or being restarted."""
CLOSE_PATIENCE_S = 1.0
_PROBE_EVERY_S = 1.0
_CONNECT_TIMEOUT_S = 1.0
_EXPORTER_LOGGERS = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.common.http",
)
_CONTENT_KEYS = (attr.GEN_AI_INPUT_MESSAGES, attr.GEN_AI_OUTPUT_MESSAGES)


class PatientExporter(SpanExporter):
    """Sends through another exporter, when somebody listens at its URL."""

    def __init__(self, inner: SpanExporter, url: str) -> None:
        self._inner = inner
        self._url = url
        self._address = _address_to_probe(url)
        self._closing = threading.Event()
        self._deadline_s: float | None = None
        self._is_down = False
        self._next_probe_s = 0.0
        self.lost_batches = 0
        self.is_waiting = False
        """Whether the worker is held up, so that what ends meanwhile only fills the queue."""

        self.on_taken: Callable[[int], None] = lambda spans: None
        """Told how many spans each export takes out of the queue."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans, waiting some seconds for a receiver; FAILURE loses them."""
        self.on_taken(len(spans))
        results = [self._send(part) for part in _parts(spans)]
        lost = results.count(SpanExportResult.FAILURE)
        self.lost_batches += lost
        return SpanExportResult.FAILURE if lost else SpanExportResult.SUCCESS

    def begin_close(self) -> None:
        """Stop waiting for a receiver that is not there: the app wants to end."""
        self._deadline_s = time.monotonic() + CLOSE_PATIENCE_S
        self._closing.set()

    @contextlib.contextmanager
    def in_haste(self, seconds: float) -> Iterator[None]:
        """Wait for a receiver no longer than this inside the block."""
        before, self._deadline_s = self._deadline_s, time.monotonic() + min(seconds, PATIENCE_S)
        self._next_probe_s = 0.0
        try:
            yield
        finally:
            if not self._closing.is_set():
                self._deadline_s = before

    def shutdown(self) -> None:
        self._closing.set()
        with _quiet_exporter_logs():
            self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True

    def _send(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if not self._is_reachable():
            self._is_down = True
            self._warn("nobody listens there")
            return SpanExportResult.FAILURE
        self.is_waiting = True
        with _quiet_exporter_logs() as log:
            result = self._inner.export(spans)
        self.is_waiting = False
        self._is_down = result is not SpanExportResult.SUCCESS
        if self._is_down:
            self._next_probe_s = time.monotonic() + _PROBE_EVERY_S
            self._warn(log.last_message or "the export failed")
        return result

    def _is_reachable(self) -> bool:
        """Wait for a receiver at first; once one was missed, only look now and then."""
        now_s = time.monotonic()
        if self._is_down:
            if now_s < self._next_probe_s or self._is_late(now_s):
                return False
            self._next_probe_s = now_s + _PROBE_EVERY_S
            return self._is_listening()
        self.is_waiting = True
        try:
            return self._wait_for_receiver(now_s + PATIENCE_S)
        finally:
            self.is_waiting = False

    def _is_late(self, now_s: float) -> bool:
        return self._deadline_s is not None and now_s > self._deadline_s

    def _wait_for_receiver(self, deadline_s: float) -> bool:
        delay_s = 0.1
        while not self._is_listening():
            limit_s = deadline_s if self._deadline_s is None else min(deadline_s, self._deadline_s)
            left_s = limit_s - time.monotonic()
            # A closing app has one more look, no more waiting.
            if left_s <= 0 or self._closing.wait(min(delay_s, left_s)):
                return False
            delay_s = min(delay_s * 2, 2.0)
        return True

    def _is_listening(self) -> bool:
        if self._address is None:
            return True
        try:
            with socket.create_connection(self._address, timeout=_CONNECT_TIMEOUT_S):
                return True
        except OSError:
            return False

    def _warn(self, reason: str) -> None:
        warn_once(
            f"export: {self._url}",
            f"tollway cannot send spans to {self._url}: {reason}. The app is unaffected; spans "
            "are dropped until a receiver answers. Start one with `tollway serve`, or set "
            "OTEL_EXPORTER_OTLP_ENDPOINT.",
        )


class _QuietLogs(logging.Filter):
    """Drops what the exporter logs in this thread, and keeps the last message of it."""

    def __init__(self) -> None:
        super().__init__()
        self._thread_id = threading.get_ident()
        self.last_message: str | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread_id:
            return True
        self.last_message = record.getMessage()
        return False


@contextlib.contextmanager
def _quiet_exporter_logs() -> Iterator[_QuietLogs]:
    quiet = _QuietLogs()
    loggers = [logging.getLogger(name) for name in _EXPORTER_LOGGERS]
    for logger in loggers:
        logger.addFilter(quiet)
    try:
        yield quiet
    finally:
        for logger in loggers:
            logger.removeFilter(quiet)


def _address_to_probe(url: str) -> tuple[str, int] | None:
    """Return host and port to knock at; None where a proxy or a scheme hides who listens."""
    parts = urlsplit(url if "://" in url else f"//{url}")
    if not parts.hostname or parts.scheme not in {"", "http", "https", "grpc"}:
        return None
    is_proxied = parts.scheme in getproxies() and not proxy_bypass(parts.hostname)
    if is_proxied:
        return None
    default_port = 443 if parts.scheme == "https" else 80
    return parts.hostname, parts.port or default_port


def _parts(spans: Sequence[ReadableSpan]) -> Iterator[Sequence[ReadableSpan]]:
    """Split a batch so that the content of each part stays under MAX_BATCH_CHARS."""
    part: list[ReadableSpan] = []
    chars = 0
    for span in spans:
        span_chars = _content_chars(span)
        if part and chars + span_chars > MAX_BATCH_CHARS:
            yield part
            part, chars = [], 0
        part.append(span)
        chars += span_chars
    yield part


def _content_chars(span: ReadableSpan) -> int:
    attributes = span.attributes or {}
    values = (attributes.get(key) for key in _CONTENT_KEYS)
    return sum(len(value) for value in values if isinstance(value, str))
