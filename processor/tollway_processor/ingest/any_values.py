"""OTLP values nested at any depth: as Python's, and as text inside of a trace request.

The engine's reader knows arrays of plain values and nothing deeper. Only requests that hold more
come here (messages told as structures, not as JSON); all others never become Python objects.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Iterator

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
_NESTED = ("array_value", "kvlist_value")


def plain(value: AnyValue) -> Plain:
    """Return a value as JSON has it: bytes in base64, numbers that JSON has not as text."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return mapping(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind == "double_value" and not math.isfinite(value.double_value):
        return str(value.double_value)
    found: Plain = getattr(value, kind)
    return found


def mapping(items: Iterable[KeyValue]) -> dict[str, Plain]:
    """Return attributes as a dictionary; of a key that stands there twice, the last."""
    return {item.key: plain(item.value) for item in items}


def with_text(body: bytes) -> bytes:
    """Return a trace request whose nested values are told as JSON, in the order of their keys."""
    request = ExportTraceServiceRequest.FromString(body)
    found = [item for items in _attributes(request) for item in items if _is_nested(item.value)]
    for item in found:
        item.value.string_value = json.dumps(plain(item.value), ensure_ascii=False)
    return request.SerializeToString() if found else body


def _attributes(request: ExportTraceServiceRequest) -> Iterator[Iterable[KeyValue]]:
    for group in request.resource_spans:
        yield group.resource.attributes
        for scope in group.scope_spans:
            for span in scope.spans:
                yield span.attributes
                yield from (event.attributes for event in span.events)


def _is_nested(value: AnyValue) -> bool:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return any(item.WhichOneof("value") in _NESTED for item in value.array_value.values)
    return kind == "kvlist_value"
