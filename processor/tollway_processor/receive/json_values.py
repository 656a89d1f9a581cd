"""Scalar values as OTLP/JSON writes them, converted to what protobuf holds.

https://protobuf.dev/programming-guides/json/, with ids in hexadecimal; otlp_json.py walks the
messages around them.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable
from decimal import Decimal

from tollway_processor.receive.schema import ENUMS

# ProtoJSON takes 1.0 and 1e3 for integers, also in quotes; a long exponent would be a bomb.
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,20})?([eE][+-]?\d{1,2})?", re.ASCII)
_INTEGER_RANGES = {
    "int64": (-(1 << 63), (1 << 63) - 1),
    "fixed64": (0, (1 << 64) - 1),
    "fixed32": (0, (1 << 32) - 1),
    "uint32": (0, (1 << 32) - 1),
    "enum": (-(1 << 31), (1 << 31) - 1),
}


class ValueFaultError(ValueError):
    """A value that its field cannot hold; `steps` lead to it, the innermost first."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.steps: list[str] = []


def is_short_count(value: object) -> bool:
    """Tell a text of up to 18 digits, which every 64-bit field can hold."""
    return isinstance(value, str) and len(value) < 19 and value.isascii() and value.isdigit()


def integer(kind: str) -> Callable[[object], int]:
    """Return the conversion to an integer type (or "enum"); it raises ValueFaultError."""
    low, high = _INTEGER_RANGES[kind]

    def convert(value: object) -> int:
        if isinstance(value, str):
            digits = value.removeprefix("-")
            if len(digits) <= 20 and digits.isascii() and digits.isdigit():
                value = int(value)
            elif _NUMBER.fullmatch(value) and (number := Decimal(value)) == int(number):
                value = int(number)
        elif isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or not low <= value <= high:
            raise ValueFaultError(f"{str(value)[:40]!r} is no integer from {low} to {high}")
        return value

    return convert


def enum(kind: str) -> Callable[[object], int]:
    """Return the conversion of a number or a name of one enum; it raises ValueFaultError."""
    names, number = ENUMS[kind], integer("enum")

    def convert(value: object) -> int:
        if isinstance(value, str) and value in names:
            return names[value]
        return number(value)

    return convert


def double(value: object) -> bytes:
    """Return the eight bytes of a number, or of a text such as "NaN"; raises ValueFaultError."""
    try:
        if isinstance(value, str) and not re.fullmatch(r"-?(Infinity|NaN|[0-9.eE+-]+)", value):
            raise ValueError(value)
        return struct.pack("<d", float(value))  # type: ignore[arg-type]  # int, float or str
    except (ValueError, OverflowError) as error:
        raise ValueFaultError(f"{str(value)[:40]!r} is no number") from error


def from_hex(value: str) -> bytes:
    """Return the bytes of an id; raises ValueFaultError."""
    try:
        return binascii.unhexlify(value)
    except ValueError as error:
        raise ValueFaultError(f"{value[:40]!r} is not hexadecimal") from error


def from_base64(value: str) -> bytes:
    """Return the bytes of either alphabet, padded or not; raises ValueFaultError."""
    try:
        text = value.replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise ValueFaultError("is not base64") from error
