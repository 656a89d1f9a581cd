"""Own what the ingest benchmark says of a start: the first answer, and a span on its way to SQL."""

from __future__ import annotations

import statistics
import time
import urllib.request
from pathlib import Path

from ingest_meters import until
from ingest_result import table
from ingest_tollway import Server, serving
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_STARTS = 3
_SPANS = 10


def report(work: Path) -> str:
    """Return a table: seconds to the first answer, to the answer of one span, and on to SQL."""
    starts, answers, sights = [], [], []
    for number in range(_STARTS):
        with serving(work / f"start-{number}") as server:
            starts.append(server.first_answer_s)
            for span in range(_SPANS):
                answer_s, seen_s = _send_one(server, number * _SPANS + span)
                answers.append(answer_s)
                sights.append(seen_s)
            server.stop()
    rows = [
        ("start to first answer, s", f"{statistics.median(starts):.2f}", f"{max(starts):.2f}"),
        ("one span until its answer, ms", *_median_and_most_ms(answers)),
        ("answer until SQL shows the span, ms", *_median_and_most_ms(sights)),
    ]
    return table(("a new store", "median", "most"), rows)


def _median_and_most_ms(seconds: list[float]) -> tuple[str, str]:
    return f"{statistics.median(seconds) * 1e3:.0f}", f"{max(seconds) * 1e3:.0f}"


def _send_one(server: Server, number: int) -> tuple[float, float]:
    trace_id = (0xBE7C << 96 | number + 1).to_bytes(16, "big")
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = trace_id, trace_id[8:], "chat"
    span.start_time_unix_nano = span.end_time_unix_nano = time.time_ns()
    post = urllib.request.Request(
        server.addresses["http"] + "/v1/traces",
        request.SerializeToString(),
        {"Content-Type": "application/x-protobuf"},
    )
    started = time.perf_counter()
    with urllib.request.urlopen(post, timeout=30):
        answered = time.perf_counter()
    sql = f"SELECT count() FROM spans WHERE trace_id = '{trace_id.hex()}'"
    until(lambda: server.value(sql) == 1, "the span in SQL", every_s=0.001)
    return answered - started, time.perf_counter() - answered
