"""The OTLP request messages as tables, and the C parser's classes that check them.

check.py parses with the classes; diagnose.py and otlp_json.py walk the tables.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from tollway_processor.store.client import Signal

_Proto = descriptor_pb2.FieldDescriptorProto


class Field(NamedTuple):
    """One field of a message: its JSON name, its kind, and whether it may occur many times.

    A kind is a scalar type of protobuf, "id" (bytes, hexadecimal in JSON), or a message's name.
    """

    name: str
    kind: str
    is_repeated: bool = False


# https://github.com/open-telemetry/opentelemetry-proto, opentelemetry/proto/*/v1/*.proto, v1.9
MESSAGES: dict[str, dict[int, Field]] = {
    "TracesRequest": {1: Field("resourceSpans", "ResourceSpans", True)},
    "ResourceSpans": {
        1: Field("resource", "Resource"),
        2: Field("scopeSpans", "ScopeSpans", True),
        3: Field("schemaUrl", "string"),
    },
    "ScopeSpans": {
        1: Field("scope", "Scope"),
        2: Field("spans", "Span", True),
        3: Field("schemaUrl", "string"),
    },
    "Span": {
        1: Field("traceId", "id"),
        2: Field("spanId", "id"),
        3: Field("traceState", "string"),
        4: Field("parentSpanId", "id"),
        5: Field("name", "string"),
        6: Field("kind", "SpanKind"),
        7: Field("startTimeUnixNano", "fixed64"),
        8: Field("endTimeUnixNano", "fixed64"),
        9: Field("attributes", "KeyValue", True),
        10: Field("droppedAttributesCount", "uint32"),
        11: Field("events", "Event", True),
        12: Field("droppedEventsCount", "uint32"),
        13: Field("links", "Link", True),
        14: Field("droppedLinksCount", "uint32"),
        15: Field("status", "Status"),
        16: Field("flags", "fixed32"),
    },
    "Event": {
        1: Field("timeUnixNano", "fixed64"),
        2: Field("name", "string"),
        3: Field("attributes", "KeyValue", True),
        4: Field("droppedAttributesCount", "uint32"),
    },
    "Link": {
        1: Field("traceId", "id"),
        2: Field("spanId", "id"),
        3: Field("traceState", "string"),
        4: Field("attributes", "KeyValue", True),
        5: Field("droppedAttributesCount", "uint32"),
        6: Field("flags", "fixed32"),
    },
    "Status": {2: Field("message", "string"), 3: Field("code", "StatusCode")},
    "LogsRequest": {1: Field("resourceLogs", "ResourceLogs", True)},
    "ResourceLogs": {
        1: Field("resource", "Resource"),
        2: Field("scopeLogs", "ScopeLogs", True),
        3: Field("schemaUrl", "string"),
    },
    "ScopeLogs": {
        1: Field("scope", "Scope"),
        2: Field("logRecords", "LogRecord", True),
        3: Field("schemaUrl", "string"),
    },
    "LogRecord": {
        1: Field("timeUnixNano", "fixed64"),
        2: Field("severityNumber", "SeverityNumber"),
        3: Field("severityText", "string"),
        5: Field("body", "AnyValue"),
        6: Field("attributes", "KeyValue", True),
        7: Field("droppedAttributesCount", "uint32"),
        8: Field("flags", "fixed32"),
        9: Field("traceId", "id"),
        10: Field("spanId", "id"),
        11: Field("observedTimeUnixNano", "fixed64"),
        12: Field("eventName", "string"),
    },
    "Resource": {
        1: Field("attributes", "KeyValue", True),
        2: Field("droppedAttributesCount", "uint32"),
        3: Field("entityRefs", "EntityRef", True),
    },
    "EntityRef": {
        1: Field("schemaUrl", "string"),
        2: Field("type", "string"),
        3: Field("idKeys", "string", True),
        4: Field("descriptionKeys", "string", True),
    },
    "Scope": {
        1: Field("name", "string"),
        2: Field("version", "string"),
        3: Field("attributes", "KeyValue", True),
        4: Field("droppedAttributesCount", "uint32"),
    },
    "KeyValue": {1: Field("key", "string"), 2: Field("value", "AnyValue")},
    "AnyValue": {
        1: Field("stringValue", "string"),
        2: Field("boolValue", "bool"),
        3: Field("intValue", "int64"),
        4: Field("doubleValue", "double"),
        5: Field("arrayValue", "ArrayValue"),
        6: Field("kvlistValue", "KeyValueList"),
        7: Field("bytesValue", "bytes"),
    },
    "ArrayValue": {1: Field("values", "AnyValue", True)},
    "KeyValueList": {1: Field("values", "KeyValue", True)},
}

_SEVERITIES = [
    f"SEVERITY_NUMBER_{level}{step}"
    for level in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
    for step in ("", "2", "3", "4")
]
ENUMS: dict[str, dict[str, int]] = {
    "SpanKind": {
        f"SPAN_KIND_{name}": number
        for number, name in enumerate(
            ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
        )
    },
    "StatusCode": {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2},
    "SeverityNumber": {
        name: number for number, name in enumerate(["SEVERITY_NUMBER_UNSPECIFIED", *_SEVERITIES])
    },
}

ROOTS: dict[Signal, str] = {"traces": "TracesRequest", "logs": "LogsRequest"}

# The messages that nest in themselves, and the fields that lead one level deeper.
_NESTING = ("KeyValue", "AnyValue", "ArrayValue", "KeyValueList")
_DEEPER = ("ArrayValue", "KeyValueList")
_PACKAGE = "tollway.check"


@cache
def check_class(signal: Signal, nesting: int) -> type[Message]:
    """Return the C parser's class that checks a request of `signal` in constant memory.

    Every field is singular, also the repeated ones and the members of a oneof: the parser then
    merges each occurrence into the last one, so it validates the same bytes by the same rules and
    twice as fast, and allocates no message per span. (With the usual classes 8 MiB of two-byte
    spans take 690 MiB.) The messages of a value exist once per level; those below `nesting` have a
    required field that is never there, so a parsed message is initialized unless it goes deeper.
    """
    limit = descriptor_pb2.FileDescriptorProto(
        name="tollway/nesting.proto", package=_PACKAGE, syntax="proto2"
    )
    limit.message_type.add(name="TooDeep").field.add(
        name="never", number=1, label=_Proto.LABEL_REQUIRED, type=_Proto.TYPE_BOOL
    )
    file = descriptor_pb2.FileDescriptorProto(
        name="tollway/check.proto", package=_PACKAGE, syntax="proto3", dependency=[limit.name]
    )
    for name in MESSAGES:
        for level in range(nesting + 1) if name in _NESTING else (0,):
            _add_message(file, name, level, nesting)
    pool = descriptor_pool.DescriptorPool()
    for each in (limit, file):
        pool.AddSerializedFile(each.SerializeToString())
    found = pool.FindMessageTypeByName(f"{_PACKAGE}.{ROOTS[signal]}")
    return message_factory.GetMessageClass(found)


def _add_message(
    file: descriptor_pb2.FileDescriptorProto, name: str, level: int, nesting: int
) -> None:
    message = file.message_type.add(name=_level_name(name, level))
    for number, (field, kind, _) in MESSAGES[name].items():
        proto = message.field.add(name=field, number=number, label=_Proto.LABEL_OPTIONAL)
        if kind in MESSAGES:
            inner = level + 1 if kind in _DEEPER else level
            target = "TooDeep" if inner > nesting else _level_name(kind, inner)
            proto.type, proto.type_name = _Proto.TYPE_MESSAGE, f".{_PACKAGE}.{target}"
        elif kind in ENUMS:
            proto.type = _Proto.TYPE_INT32
        elif kind == "id":
            proto.type = _Proto.TYPE_BYTES
        else:
            proto.type = _Proto.Type.Value(f"TYPE_{kind.upper()}")


def _level_name(name: str, level: int) -> str:
    return f"{name}{level}" if name in _NESTING else name
