"""Protobuf's wire format by hand: varints, tags and lengths; what they mean is left to others."""

from __future__ import annotations

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # https://protobuf.dev/programming-guides/encoding
_MASK64 = (1 << 64) - 1


class WireError(ValueError):
    """The bytes at `offset` are not protobuf."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def varint(value: int) -> bytes:
    """Encode an integer; a negative one as its 64-bit two's complement."""
    if 0 <= value < _SHORT:
        return _SHORT_VARINTS[value]
    return _long_varint(value & _MASK64)


def _long_varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SHORT = 1 << 14  # lengths and counts are mostly below, and a look-up is five times as fast
_SHORT_VARINTS = [_long_varint(value) for value in range(_SHORT)]


def tag(field: int, wire_type: int) -> bytes:
    """Encode a field's tag."""
    return varint(field << 3 | wire_type)


def length_delimited(field: int, payload: bytes) -> bytes:
    """Encode a string, bytes or message field."""
    return b"".join((tag(field, LENGTH), varint(len(payload)), payload))


def read_varint(data: bytes, offset: int, end: int) -> tuple[int, int]:
    """Return the varint at `offset` and the offset behind it; raises WireError."""
    value = shift = 0
    start = offset
    while offset < end:
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK64, offset
        shift += 7
        if shift > 63:
            raise WireError("a varint is longer than 10 bytes", start)
    raise WireError("the body ends inside a varint", start)


def read_field(data: bytes, offset: int, end: int) -> tuple[int, int, int, int]:
    """Read one field of the message that ends at `end`.

    Returns (field number, wire type, start of the payload, end of the payload); raises WireError
    when the tag is no protobuf or the payload passes `end`.
    """
    key, start = read_varint(data, offset, end)
    field, wire_type = key >> 3, key & 7
    if not 0 < field < 1 << 29:
        raise WireError(f"field number {field} does not exist", offset)
    if wire_type == LENGTH:
        size, start = read_varint(data, start, end)
        stop = start + size
    elif wire_type == VARINT:
        stop = read_varint(data, start, end)[1]
    elif wire_type in (FIXED64, FIXED32):
        stop = start + (8 if wire_type == FIXED64 else 4)
    else:
        raise WireError(f"wire type {wire_type} is not used by OTLP", offset)
    if stop > end:
        raise WireError(f"field {field} says {stop - start} bytes, {end - start} are left", offset)
    return field, wire_type, start, stop
