"""Measure how far verdicts are behind the traces: `tollway serve` with many routes already known.

    python tests/bench/freshness.py [--routes 100] [--traces 40]

A verdict has seen a trace once the trace is among those that it counts. Prints the seconds from the
answer to a trace until then, of one route alone and of all routes at once.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from ingest_meters import until
from ingest_tollway import Server, serving
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_SPANS_A_REQUEST = 2000
_TIMES = 5
_COUNTED = """SELECT sum(baseline_n + candidate_n) FROM latest_route_signals
WHERE metric = 'error' AND cohort = '*' AND dimension = 'variant'"""
_VERDICTS = "SELECT count() FROM latest_route_verdicts WHERE dimension = 'variant'"
_SIDES = ("teacher", "student")
_COHORTS = ("refund", "closure")


class Traffic:
    """Traces that are sent, and how many there are."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.sent = 0

    def send(self, routes: list[str], traces: int) -> float:
        """Send traces of each route, sides and cohorts in turn; return when the last was answered."""
        told = [(route, number) for number in range(traces) for route in routes]
        for start in range(0, len(told), _SPANS_A_REQUEST):
            request = ExportTraceServiceRequest()
            spans = request.resource_spans.add().scope_spans.add().spans
            for route, number in told[start : start + _SPANS_A_REQUEST]:
                self.sent += 1
                trace_id = (0xF4E5 << 96 | self.sent).to_bytes(16, "big")
                span = spans.add(trace_id=trace_id, span_id=trace_id[8:], name="chat")
                span.end_time_unix_nano = time.time_ns()
                span.start_time_unix_nano = span.end_time_unix_nano - 500_000_000
                span.attributes.extend(_attributes(route, number))
            self._post(request.SerializeToString())
        return time.perf_counter()

    def _post(self, body: bytes) -> None:
        post = urllib.request.Request(
            self._server.addresses["http"] + "/v1/traces",
            body,
            {"Content-Type": "application/x-protobuf"},
        )
        with urllib.request.urlopen(post, timeout=60):
            """Answered: stored."""

    def wait_until_counted(self) -> float:
        """Return when all traces are among those that the verdicts' signals count."""
        until(
            lambda: self._server.value(_VERDICTS) and self._server.value(_COUNTED) == self.sent,
            "a verdict that has seen all traces",
            deadline_s=600,
            every_s=0.1,
        )
        return time.perf_counter()


def _attributes(route: str, number: int) -> Iterator[KeyValue]:
    texts = {
        "tollway.route": route,
        "tollway.variant": _SIDES[number % 2],
        "tollway.cohort": _COHORTS[number // 2 % 2],
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o" if number % 2 == 0 else "gpt-4o-mini",
    }
    for name, text in texts.items():
        yield KeyValue(key=name, value=AnyValue(string_value=text))
    for name, tokens in (("input", 100 + number % 7), ("output", 10)):
        yield KeyValue(key=f"gen_ai.usage.{name}_tokens", value=AnyValue(int_value=tokens))


def main() -> None:
    """Print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--routes", type=int, default=100)
    parser.add_argument("--traces", type=int, default=40)
    args = parser.parse_args()
    routes = [f"route-{number}" for number in range(args.routes)]
    with tempfile.TemporaryDirectory() as work, serving(Path(work) / "store") as server:
        traffic = Traffic(server)
        since = traffic.send(routes, args.traces)
        print(f"{args.routes} routes, {traffic.sent:,} traces", end=": ")
        print(f"all verdicts after {traffic.wait_until_counted() - since:.1f} s")
        for what, some in (("one route", routes[:1]), ("every route", routes)):
            behind = []
            for _ in range(_TIMES):
                since = traffic.send(some, 1)
                behind.append(traffic.wait_until_counted() - since)
            print(f"a trace of {what}: seen after {statistics.median(behind):.1f} s", end=", ")
            print(f"at most {max(behind):.1f} s")
        server.stop()


if __name__ == "__main__":
    main()
