"""One conversation, told by each library's real spans, becomes the same rows.

tests/golden holds the spans (capture.py makes them anew) and expected.toml: the rows, and by name
what a library does not tell.
"""

from __future__ import annotations

import gzip
import json
import time
import tomllib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tollway_processor.store.client import Delivery

GOLDEN = Path(__file__).parents[2] / "golden"
EXPECTED = tomllib.loads((GOLDEN / "expected.toml").read_text(encoding="utf-8"))
LIBRARIES = sorted(
    path.name.removesuffix(".traces.pb.gz") for path in GOLDEN.glob("*.traces.pb.gz")
)
DAY_NS = 86_400 * 10**9
NOTHING = (None, "", [], "[]")
COLUMNS = """
SELECT *
FROM spans FINAL
LEFT JOIN messages FINAL USING (trace_id, span_id)
WHERE trace_id IN ({ids:Array(String)})
ORDER BY started_at
"""


@pytest.fixture(scope="module")
def told_rows(store):
    """Rows by library; each fixture is committed once."""
    return {library: rows_of(store, library) for library in LIBRARIES}


def rows_of(store: Any, library: str) -> list[dict[str, Any]]:
    """Commit a library's fixture as of now; return its spans beside their messages, by start."""
    traces = ExportTraceServiceRequest.FromString(_fixture(library, "traces"))
    spans = [s for r in traces.resource_spans for scope in r.scope_spans for s in scope.spans]
    # By whole days: what was captured long ago would be past its retention.
    days = (time.time_ns() - max(span.end_time_unix_nano for span in spans)) // DAY_NS
    for span in spans:
        _move(span, days)
    stamp_ns = time.time_ns()
    batch = [Delivery(traces.SerializeToString())]
    assert store.ingest("traces", batch, token=library, ingested_at_ns=stamp_ns) == []
    if (GOLDEN / f"{library}.logs.pb.gz").exists():
        logs = ExportLogsServiceRequest.FromString(_fixture(library, "logs"))
        for record in (x for r in logs.resource_logs for s in r.scope_logs for x in s.log_records):
            record.time_unix_nano += days * DAY_NS if record.time_unix_nano else 0
            record.observed_time_unix_nano += days * DAY_NS
        batch = [Delivery(logs.SerializeToString())]
        assert store.ingest("logs", batch, token=library, ingested_at_ns=stamp_ns + 1) == []
    ids = sorted({span.trace_id.hex() for span in spans})
    return list(store.rows(COLUMNS, {"ids": ids}))


def _fixture(library: str, signal: str) -> bytes:
    return gzip.decompress((GOLDEN / f"{library}.{signal}.pb.gz").read_bytes())


def _move(span: Span, days: int) -> None:
    span.start_time_unix_nano += days * DAY_NS
    span.end_time_unix_nano += days * DAY_NS
    for event in span.events:
        event.time_unix_nano += days * DAY_NS
    for attribute in span.attributes:
        if attribute.key == "langfuse.observation.completion_start_time":
            at = datetime.fromisoformat(attribute.value.string_value.strip('"'))
            attribute.value.string_value = f'"{(at + timedelta(days=days)).isoformat()}"'


def calls_of(library: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The model calls, each once: a call inside a call, or told twice, is left out."""
    calls = [row for row in rows if row["operation"] in ("chat", "embeddings")]
    ids = {row["span_id"] for row in calls}
    calls = [row for row in calls if row["parent_span_id"] not in ids]
    if EXPECTED["libraries"].get(library, {}).get("tells_streams_twice"):
        calls = [row for row in calls if row["input_tokens"] is not None]
    return calls


def labels(row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, str]:
    """Session, user and route of the trace of a span: the first that one of its spans tells."""
    trace = [other for other in rows if other["trace_id"] == row["trace_id"]]
    names = ("session_id", "user_id", "route")
    return {name: next((r[name] for r in trace if r[name]), "") for name in names}


def said(text: str) -> list[list[Any]]:
    """Messages as [role, part, …], a part as its values in one order."""
    if not text:
        return []
    return [[message["role"], *map(_part, message["parts"])] for message in json.loads(text)]


def _part(part: dict[str, Any]) -> list[Any]:
    names = ("type", "content", "id", "name", "arguments", "response")
    return [part[name] for name in names if name in part]


def _parsed(text: str) -> Any:
    return json.loads(text) if text.startswith("{") and "'" not in text[:2] else text


def told(row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A call as expected.toml tells it."""
    names = EXPECTED["calls"][0].keys() - {"name", "input", "output"}
    found = {name: row[name] for name in names if name in row} | labels(row, rows)
    return {**found, "input": said(row["input_messages"]), "output": said(row["output_messages"])}


def deviations(library: str, call: str) -> dict[str, Any]:
    """What a library tells of a call otherwise: field to value, NOTHING for one it leaves out."""
    entries = EXPECTED["libraries"].get(library, {}).get("untold", [])
    return {
        field: entry.get("instead", NOTHING)
        for entry in entries
        if call in entry["calls"]
        for field in entry["fields"]
    }


@pytest.mark.parametrize("library", LIBRARIES)
def test_library_tells_the_expected_calls(told_rows, library):
    rows = told_rows[library]
    calls = calls_of(library, rows)
    assert len(calls) == len(EXPECTED["calls"])
    for row, expected in zip(calls, EXPECTED["calls"], strict=True):
        found, other = told(row, rows), deviations(library, expected["name"])
        wrong = {
            field: found[field]
            for field, value in expected.items()
            if field != "name" and field not in other and found[field] != value
        }
        assert wrong == {}, expected["name"]
        for field, value in other.items():
            allowed = value if value is NOTHING else (value,)
            assert found[field] in allowed, (expected["name"], field)


@pytest.mark.parametrize("library", LIBRARIES)
def test_library_tells_the_tool_run_of_its_agent(told_rows, library):
    tools = [row for row in told_rows[library] if row["operation"] == "execute_tool"]
    entry = EXPECTED["libraries"].get(library, {})
    if "no_tool_span" in entry:
        assert tools == []
        return
    (row,) = tools
    expected = EXPECTED["tool"] | entry.get("tool", {})
    assert {name: _parsed(row[name]) for name in expected} == {
        name: _parsed(value) for name, value in expected.items()
    }


def test_streams_tell_their_time_to_first_token(told_rows):
    told_by = {
        library
        for library in LIBRARIES
        if any(0 < (row["ttft_ns"] or 0) <= row["duration_ns"] for row in told_rows[library])
    }
    assert set(LIBRARIES) - told_by == set(EXPECTED["without_time_to_first_token"]["libraries"])
