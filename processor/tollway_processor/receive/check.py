"""The check of one whole OTLP request before it is queued; storing it is left to the engine."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from tollway_processor.errors import PermanentError, TooLargeError
from tollway_processor.receive.diagnose import diagnose
from tollway_processor.receive.limits import Limits
from tollway_processor.receive.schema import check_class
from tollway_processor.receive.wire import LENGTH, WireError, read_field
from tollway_processor.store.client import Signal

_FIELDS = 65_536  # of one message, spans and attributes aside: a walk over more takes too long
_ITEM_TAG = bytes((2 << 3 | LENGTH,))
_ENTRY_TAGS: dict[Signal, bytes] = {  # attributes, events and links
    "traces": bytes((9 << 3 | LENGTH, 11 << 3 | LENGTH, 13 << 3 | LENGTH)),
    "logs": bytes((6 << 3 | LENGTH,)),
}
# The number of these bytes in a body bounds the number of such fields from above: a tag spelt with
# needless continuation bytes begins with the same byte, its high bit set.
_SPELT_TAGS: dict[Signal, bytes] = {
    signal: tags + bytes(tag | 0x80 for tag in tags) for signal, tags in _ENTRY_TAGS.items()
}
_NAMES = {"traces": "spans", "logs": "log records"}


def check(signal: Signal, body: bytes, limits: Limits) -> int:
    """Check that `body` is a well-formed request within `limits`; return its spans or log records.

    Raises PermanentError saying what is wrong and where, TooLargeError when it holds too many.
    """
    try:
        message = check_class(signal, limits.nesting).FromString(body)
    except DecodeError as error:
        raise PermanentError(diagnose(signal, body, str(error))) from error
    if not message.IsInitialized():
        raise PermanentError(
            f"an attribute's value nests lists or maps over {limits.nesting} levels deep"
        )
    try:
        items = _item_count(signal, body, limits)
        if _most_entries(signal, body, limits.attributes) > limits.attributes:
            _refuse_entries(signal, body, limits.attributes)
    except WireError as error:
        raise PermanentError(diagnose(signal, body, str(error))) from error
    return items


def _item_count(signal: Signal, body: bytes, limits: Limits) -> int:
    """Count the spans or log records of a checked body.

    Both signals keep them in field 2 of field 2 of field 1.
    """
    count = 0
    resources = _occurrences(body, 0, len(body), 1)
    if body and not resources:
        raise PermanentError(f"the body holds no field of an OTLP {signal} request")
    for scope in (scope for resource in resources for scope in _occurrences(body, *resource, 2)):
        count += _count(body, *scope, _ITEM_TAG, limits.spans - count)
        if count > limits.spans:
            raise TooLargeError(
                f"the request holds over {limits.spans} {_NAMES[signal]}; send smaller batches"
            )
    return count


def _count(body: bytes, offset: int, end: int, tags: bytes, most: int) -> int:
    """Count the fields that begin with one of the `tags` in one message, and stop above `most`.

    The loop reads the usual spelling (one byte of tag, a length of up to two) by itself:
    read_field costs five times as much.
    """
    count, others = 0, 0
    while offset < end and count <= most:
        size_at = offset + 1
        if body[offset] in tags and size_at < end and (size := body[size_at]) < 0x80:
            count, offset = count + 1, size_at + 1 + size
        elif body[offset] in tags and size_at + 1 < end and (high := body[size_at + 1]) < 0x80:
            count, offset = count + 1, size_at + 2 + (size & 0x7F | high << 7)
        else:
            field, wire_type, _, offset = read_field(body, offset, end)
            if wire_type == LENGTH and field < 16 and field << 3 | LENGTH in tags:
                count += 1
            else:
                others = _counted(others)
    return count


def _occurrences(body: bytes, offset: int, end: int, wanted: int) -> list[tuple[int, int]]:
    """Return where each occurrence of one field's payload starts and ends."""
    found = []
    fields = 0
    while offset < end:
        field, wire_type, start, offset = read_field(body, offset, end)
        fields = _counted(fields)
        if wire_type == LENGTH and field == wanted:
            found.append((start, offset))
    return found


def _counted(fields: int) -> int:
    if fields >= _FIELDS:
        raise PermanentError(f"a message of the request holds over {_FIELDS} fields")
    return fields + 1


def _most_entries(signal: Signal, body: bytes, most: int) -> int:
    """Return a number that the body's attributes, events and links do not exceed."""
    if len(body) <= 2 * most:  # none of them takes less than two bytes
        return len(body) // 2
    return len(body) - len(body.translate(None, _SPELT_TAGS[signal]))


def _refuse_entries(signal: Signal, body: bytes, most: int) -> None:
    """Count in earnest what _most_entries only bounds; raises TooLargeError above `most`."""
    count = 0
    for resource in _occurrences(body, 0, len(body), 1):
        for scope in _occurrences(body, *resource, 2):
            for item in _occurrences(body, *scope, 2):
                count += _count(body, *item, _ENTRY_TAGS[signal], most - count)
                if count > most:
                    raise TooLargeError(
                        f"the request's {_NAMES[signal]} hold over {most} attributes, events and "
                        "links; send smaller batches"
                    )
