"""Verdicts are at most 15 s behind the traces."""

from __future__ import annotations

import time

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

BEHIND_S = 15.0
ROUTES = 5


def request(first: int, traces: int) -> bytes:
    """Traces of a teacher and a student, on all routes in turn."""
    told = ExportTraceServiceRequest()
    spans = told.resource_spans.add().scope_spans.add().spans
    for number in range(first, first + traces):
        trace_id = (0xF4E5 << 96 | number + 1).to_bytes(16, "big")
        span = spans.add(trace_id=trace_id, span_id=trace_id[8:], name="chat")
        span.end_time_unix_nano = time.time_ns()
        span.start_time_unix_nano = span.end_time_unix_nano - 500_000_000
        texts = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "tollway.route": f"route-{number % ROUTES}",
            "tollway.variant": ("teacher", "student")[number // ROUTES % 2],
        }
        span.attributes.extend(
            KeyValue(key=name, value=AnyValue(string_value=text)) for name, text in texts.items()
        )
    return told.SerializeToString()


@pytest.mark.slow
def test_verdict_has_seen_a_trace_within_fifteen_seconds(serve):
    processor = serve()
    sent = 0
    for traces in (60 * ROUTES, ROUTES):  # of new routes, then one more of each
        assert processor.post(request(sent, traces))[0] == 200
        deadline, sent = time.monotonic() + BEHIND_S, sent + traces
        while True:
            (seen,) = processor.rows(
                "SELECT countIf(v.evaluated_at >= s.evaluated_at) AS verdicts, "
                "sum(s.baseline_n + s.candidate_n) AS traces "
                "FROM latest_route_signals AS s INNER JOIN latest_route_verdicts AS v "
                "USING (route, baseline, candidate) "
                "WHERE s.metric = 'error' AND s.cohort = '*' AND s.dimension = 'variant'"
            )
            if (int(seen["verdicts"]), int(seen["traces"])) == (ROUTES, sent):
                break
            assert time.monotonic() < deadline, f"{seen} of {sent} traces, on {ROUTES} routes"
            time.sleep(0.1)
