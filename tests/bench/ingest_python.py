"""Own the plain Python route of the ingest benchmark: protobuf objects to columns, no engine codec.

What one writes first: parse with the protobuf library, loop over spans and attributes, build
columns, insert them with Arrow. It normalises through the same conventions, prices nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tollway_processor.ingest.statement import SLOTS, columns

_MESSAGES = (
    "system_instructions", "input_messages", "output_messages", "tool_definitions",
    "tool_arguments", "tool_result",
)  # fmt: skip
_TEXTS = (
    "operation", "error_type", "route", "cohort", "variant", "provider", "request_model",
    "response_model", "response_id", "service_tier", "tool_name", "tool_call_id", "session_id",
    "user_id", "pair_id", "agent", "node", "endpoint",
)  # fmt: skip
_COUNTS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "audio_input_tokens", "audio_output_tokens",
)  # fmt: skip
_TYPES = {
    "resource": pa.map_(pa.string(), pa.string()),
    "attributes": pa.map_(pa.string(), pa.string()),
    "started_at": pa.timestamp("ns", "UTC"),
    "ingested_at": pa.timestamp("ns", "UTC"),
}
_WHERE = {
    key: (name, precedence)
    for name, column in columns().items()
    if column.kind != "prefix"
    for precedence, key in enumerate(column.attributes)
}
_PREFIXES = tuple(
    (prefix, name.removesuffix("_keys") + "s")
    for name, column in columns().items()
    if column.kind == "prefix"
    for prefix in column.attributes
)


def tables(bodies: Sequence[bytes], ingested_at_ns: int) -> tuple[pa.Table, pa.Table]:
    """Return rows of `spans` and of `messages` for OTLP requests."""
    spans: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    for body in bodies:
        request = ExportTraceServiceRequest.FromString(body)
        for group in request.resource_spans:
            resource = {item.key: _text(item.value) for item in group.resource.attributes}
            for scope in group.scope_spans:
                for span in scope.spans:
                    row, said = _row(span, resource, scope.scope, ingested_at_ns)
                    spans.append(row)
                    if said:
                        messages.append(
                            dict.fromkeys(_MESSAGES, "")
                            | {key: row[key] for key in ("trace_id", "span_id", "started_at")}
                            | {"ingested_at": ingested_at_ns}
                            | said
                        )
    return _arrow(spans), _arrow(messages)


def _row(
    span: Any, resource: dict[str, str], scope: Any, ingested_at_ns: int
) -> tuple[dict[str, Any], dict[str, str]]:
    best: dict[str, tuple[int, str]] = {}
    rest: list[tuple[str, str]] = []
    indexed: dict[str, dict[str, str]] = {}
    for item in span.attributes:
        key, value = item.key, _text(item.value)
        if key in _WHERE:
            name, precedence = _WHERE[key]
            if precedence < best.get(name, (SLOTS, ""))[0]:
                best[name] = (precedence, value)
        elif name := next((name for prefix, name in _PREFIXES if key.startswith(prefix)), ""):
            indexed.setdefault(name, {})[key] = value
        else:
            rest.append((key, value))
    hot = {name: value for name, (_, value) in best.items()}
    row: dict[str, Any] = {
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex(),
        "started_at": span.start_time_unix_nano,
        "duration_ns": span.end_time_unix_nano - span.start_time_unix_nano,
        "service": resource.get("service.name", ""),
        "name": span.name,
        "kind": span.kind,
        "status": span.status.code,
        "resource": list(resource.items()),
        "attributes": rest,
        "scope_name": scope.name,
        "scope_version": scope.version,
        "ingested_at": ingested_at_ns,
    }
    row.update((name, hot.get(name, "")) for name in _TEXTS)
    row.update((name, int(hot[name]) if name in hot else None) for name in _COUNTS)
    said = {name: hot[name] for name in _MESSAGES if name in hot}
    return row, said | {name: str(keys) for name, keys in indexed.items()}


def _text(value: Any) -> str:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return "[" + ",".join(f'"{_text(item)}"' for item in value.array_value.values) + "]"
    told = getattr(value, kind) if kind else ""
    return told if isinstance(told, str) else str(told)


def _arrow(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.table(
        {name: pa.array([row[name] for row in rows], _TYPES.get(name)) for name in rows[0]}
    )
