"""OTLP/JSON requests rewritten as protobuf, so that everything behind knows one format.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: lowerCamelCase names, unknown
ones ignored, ids in hexadecimal, enums as numbers (their names are read too), 64-bit integers as
text or numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import msgspec

from tollway_processor.errors import PermanentError, TooLargeError
from tollway_processor.receive.json_values import (
    ValueFaultError,
    double,
    enum,
    from_base64,
    from_hex,
    integer,
    is_short_count,
)
from tollway_processor.receive.schema import ENUMS, MESSAGES, ROOTS, Field
from tollway_processor.receive.wire import FIXED32, FIXED64, LENGTH, VARINT, tag, varint
from tollway_processor.store.client import Signal

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # RFC 8259, 8.1 lets a reader pass over it
_SNAKE_CASE = {
    b'"resource_spans"': "resourceSpans", b'"scope_spans"': "scopeSpans",
    b'"resource_logs"': "resourceLogs", b'"scope_logs"': "scopeLogs",
    b'"log_records"': "logRecords",
}  # fmt: skip
_OBJECTS = 1 << 18  # an empty object takes 3 bytes of JSON and up to 200 of memory
_DEPTH = 100  # what the C parser allows

# Appends one value's bytes, tag included, to the pieces and returns how many bytes they are.
_Encode = Callable[[list[bytes], object, int], int]
_PACKED = {"fixed64": (FIXED64, struct.Struct("<Q")), "fixed32": (FIXED32, struct.Struct("<I"))}


def to_protobuf(signal: Signal, body: bytes) -> bytes:
    """Return the protobuf bytes of a JSON request.

    Raises PermanentError naming the value at fault by its path, TooLargeError for a body of very
    many objects.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    if body.count(b"{") > _OBJECTS:
        raise TooLargeError(f"the request holds over {_OBJECTS} JSON objects; send smaller batches")
    pieces: list[bytes] = []
    try:
        message = _DECODERS[signal].decode(body)
        _encode_fields(_ENCODERS[ROOTS[signal]], pieces, message, 0)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise PermanentError(f"the body is no OTLP/JSON {signal} request: {error}") from error
    except RecursionError as error:
        raise PermanentError("the body's JSON nests too deep") from error
    except ValueFaultError as fault:
        path = "".join(reversed(fault.steps)).removeprefix(".")
        raise PermanentError(f"the body's {path}: {fault}") from fault
    return b"".join(pieces)


def refuse_snake_case(body: bytes) -> None:
    """Raise PermanentError for a JSON request that holds nothing but for its spelling.

    The specification has unknown names ignored, and proto's own names are no names in OTLP/JSON;
    but a sender that uses them would be told that all is stored, and nothing would be.
    """
    for name, right in _SNAKE_CASE.items():
        if name in body:
            raise PermanentError(
                f"the body has {name.decode()} and no span or log record that can be read: names "
                f'are in lowerCamelCase in OTLP/JSON, "{right}"'
            )


def _encode_fields(
    fields: list[tuple[str, _Encode]], pieces: list[bytes], message: object, depth: int
) -> int:
    size = 0
    for name, encode in fields:
        value = getattr(message, name)
        if value is not None:
            try:
                size += encode(pieces, value, depth)
            except ValueFaultError as fault:
                fault.steps.append(f".{name}")
                raise
    return size


def _message_encoder(number: int, kind: str) -> _Encode:
    prefix, fields = tag(number, LENGTH), _ENCODERS[kind]

    def encode(pieces: list[bytes], value: object, depth: int) -> int:
        if depth > _DEPTH:
            raise ValueFaultError(f"nests over {_DEPTH} levels deep")
        place = len(pieces)
        pieces.append(b"")  # the length comes before the payload and is known after it
        size = _encode_fields(fields, pieces, value, depth + 1)
        pieces[place] = head = prefix + varint(size)
        return len(head) + size

    return encode


def _attribute_encoder(number: int) -> _Encode:
    """Return what _message_encoder does for a KeyValue, with a shorter way for texts and counts.

    Attributes are most of a request, texts and counts most of the attributes: this makes a request
    more than twice as fast.
    """
    prefix, encode_any = tag(number, LENGTH), _message_encoder(number, "KeyValue")

    def encode(pieces: list[bytes], attribute: Any, depth: int) -> int:
        key, value = attribute.key, attribute.value
        if key is None or value is None:
            return encode_any(pieces, attribute, depth)
        if value.stringValue is not None:
            payload = value.stringValue.encode()
            inner = b"\x0a" + varint(len(payload))  # AnyValue.string_value
        elif is_short_count(value.intValue):
            payload = varint(int(value.intValue))
            inner = b"\x18"  # AnyValue.int_value
        else:
            return encode_any(pieces, attribute, depth)
        name = key.encode()
        outer = b"\x12" + varint(len(inner) + len(payload))  # KeyValue.value
        body = b"\x0a" + varint(len(name)) + name + outer + inner  # KeyValue.key first
        head = prefix + varint(len(body) + len(payload)) + body
        pieces += (head, payload)
        return len(head) + len(payload)

    return encode


def _repeated_encoder(encode_one: _Encode) -> _Encode:
    def encode(pieces: list[bytes], value: object, depth: int) -> int:
        size = 0
        assert isinstance(value, list)  # msgspec decoded it as one
        for index, item in enumerate(value):
            try:
                size += encode_one(pieces, item, depth)
            except ValueFaultError as fault:
                fault.steps.append(f"[{index}]")
                raise
        return size

    return encode


def _length_encoder(number: int, to_bytes: Callable[[str], bytes]) -> _Encode:
    prefix = tag(number, LENGTH)

    def encode(pieces: list[bytes], value: object, depth: int) -> int:
        assert isinstance(value, str)  # msgspec decoded it as one
        payload = to_bytes(value)
        head = prefix + varint(len(payload))
        pieces += (head, payload)
        return len(head) + len(payload)

    return encode


def _number_encoder(number: int, wire_type: int, to_bytes: Callable[[object], bytes]) -> _Encode:
    prefix = tag(number, wire_type)

    def encode(pieces: list[bytes], value: object, depth: int) -> int:
        piece = prefix + to_bytes(value)
        pieces.append(piece)
        return len(piece)

    return encode


_TO_BYTES: dict[str, Callable[[str], bytes]] = {
    "string": str.encode,
    "id": from_hex,
    "bytes": from_base64,
}


def _encoder(number: int, field: Field) -> _Encode:
    kind = field.kind
    if kind == "KeyValue":
        return _attribute_encoder(number)
    if kind in MESSAGES:
        return _message_encoder(number, kind)
    if kind in ("string", "id", "bytes"):
        return _length_encoder(number, _TO_BYTES[kind])
    if kind == "double":
        return _number_encoder(number, FIXED64, double)
    if kind in _PACKED:
        wire_type, layout = _PACKED[kind]
        convert = integer(kind)
        return _number_encoder(number, wire_type, lambda value: layout.pack(convert(value)))
    convert = bool if kind == "bool" else enum(kind) if kind in ENUMS else integer(kind)
    return _number_encoder(number, VARINT, lambda value: varint(convert(value)))


def _json_type(field: Field) -> str:
    if field.kind in MESSAGES:
        kind = f"_JSON_TYPES[{field.kind!r}]"
    elif field.kind in ("string", "id", "bytes"):
        kind = "str"
    else:
        kind = "bool" if field.kind == "bool" else "int | float | str"
    return f"list[{kind}] | None" if field.is_repeated else f"{kind} | None"


# msgspec builds no object for a name that is not in these types, and refuses a wrong type by path.
_JSON_TYPES: dict[str, type[msgspec.Struct]] = {}
_ENCODERS: dict[str, list[tuple[str, _Encode]]] = {name: [] for name in MESSAGES}
for _name, _fields in MESSAGES.items():
    _JSON_TYPES[_name] = msgspec.defstruct(
        _name,
        [(field.name, _json_type(field), None) for field in _fields.values()],
        module=__name__,
        gc=False,
    )
    for _number, _field in _fields.items():
        _one = _encoder(_number, _field)
        _ENCODERS[_name].append(
            (_field.name, _repeated_encoder(_one) if _field.is_repeated else _one)
        )
_DECODERS = {signal: msgspec.json.Decoder(_JSON_TYPES[root]) for signal, root in ROOTS.items()}
