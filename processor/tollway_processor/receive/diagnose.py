"""Says what is wrong with a request that the C parser refused, and where."""

from __future__ import annotations

from tollway_processor.receive.schema import MESSAGES, ROOTS, Field
from tollway_processor.receive.wire import (
    FIXED32,
    FIXED64,
    LENGTH,
    VARINT,
    WireError,
    read_field,
)
from tollway_processor.store.client import Signal

_FIELDS_READ = 20_000  # about 40 ms of the event loop; a fault further in is only called by name
_WIRE_TYPES = {"fixed64": FIXED64, "double": FIXED64, "fixed32": FIXED32}


class _FaultError(Exception):
    """Carries the place and the nature of the first fault out of the recursion."""


def diagnose(signal: Signal, body: bytes, parser_message: str) -> str:
    """Return one sentence on the first fault in `body`, or the parser's own words if none is found.

    The sentence names the field by its path and the byte offset in the decoded body.
    """
    walk = _Walk(body)
    try:
        walk.message(ROOTS[signal], "", 0, len(body))
    except _FaultError as fault:
        return f"the body is no OTLP {signal} request: {fault}"
    parser_words = parser_message.rpartition(": ")[2]
    return f"the body is no OTLP {signal} request: {parser_words}"


class _Walk:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self._fields_left = _FIELDS_READ

    def message(self, name: str, path: str, offset: int, end: int) -> None:
        counts: dict[int, int] = {}
        while offset < end and self._fields_left > 0:
            self._fields_left -= 1
            try:
                number, wire_type, start, stop = read_field(self._body, offset, end)
            except WireError as error:
                place = path or "the request"
                raise _FaultError(f"in {place} at byte {error.offset}: {error}") from error
            field = MESSAGES[name].get(number)
            if field is not None and wire_type == _wire_type(field.kind):
                index = counts.get(number, 0)
                counts[number] = index + 1
                step = f"{field.name}[{index}]" if field.is_repeated else field.name
                self._value(field, f"{path}.{step}".lstrip("."), start, stop)
            offset = stop

    def _value(self, field: Field, path: str, start: int, stop: int) -> None:
        if field.kind in MESSAGES:
            self.message(field.kind, path, start, stop)
        elif field.kind == "string":
            try:
                self._body[start:stop].decode()
            except UnicodeDecodeError as error:
                raise _FaultError(f"{path} at byte {start + error.start} is not UTF-8") from error


def _wire_type(kind: str) -> int:
    if kind in MESSAGES or kind in ("string", "bytes", "id"):
        return LENGTH
    return _WIRE_TYPES.get(kind, VARINT)
