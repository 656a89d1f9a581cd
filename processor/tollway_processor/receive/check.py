"""The check of one whole OTLP request before it is queued; storing it is left to the engine."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import DecodeError

from tollway_processor.errors import PermanentError, TooLargeError
from tollway_processor.receive.diagnose import diagnose
from tollway_processor.receive.limits import Limits
from tollway_processor.receive.schema import check_class
from tollway_processor.receive.skipped import refuse_unreadable, skipped_bytes
from tollway_processor.receive.wire import LENGTH, WireError, read_field
from tollway_processor.store.client import Signal

_FIELDS = 1 << 20  # read one by one; more would keep the event loop for over a second
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
    parser = check_class(signal, limits.nesting)
    try:
        message = parser.FromString(body)
    except DecodeError as error:
        raise PermanentError(diagnose(signal, body, str(error))) from error
    if not message.IsInitialized():
        raise PermanentError(
            f"an attribute's value nests lists or maps over {limits.nesting} levels deep"
        )
    if skipped := skipped_bytes(message):
        refuse_unreadable(parser.FromString(body), skipped)
    walk = _Walk(signal, body)
    try:
        items = walk.items(limits.spans)
        # An attribute, event or link takes two bytes at least.
        if len(body) > 2 * limits.attributes and walk.most_entries() > limits.attributes:
            walk.refuse_entries_above(limits.attributes)
    except WireError as error:
        raise PermanentError(diagnose(signal, body, str(error))) from error
    return items


class _Walk:
    """Counts what a checked body holds, field by field down to its spans or log records.

    Both signals keep them in field 2 of field 2 of field 1.
    """

    def __init__(self, signal: Signal, body: bytes) -> None:
        self._signal = signal
        self._body = body
        self._fields_left = _FIELDS

    def items(self, most: int) -> int:
        """Return the number of spans or log records; raises TooLargeError above `most`."""
        if self._body and not self._occurrences(0, len(self._body), 1):
            raise PermanentError(f"the body holds no field of an OTLP {self._signal} request")
        count = 0
        for scope in self._scopes():
            count += self._count(*scope, _ITEM_TAG, most - count)
            if count > most:
                raise TooLargeError(
                    f"the request holds over {most} {_NAMES[self._signal]}; send smaller batches"
                )
        return count

    def most_entries(self) -> int:
        """Return a number that the body's attributes, events and links do not exceed."""
        return len(self._body) - len(self._body.translate(None, _SPELT_TAGS[self._signal]))

    def refuse_entries_above(self, most: int) -> None:
        """Count in earnest what most_entries() only bounds; raises TooLargeError above `most`."""
        count, tags = 0, _ENTRY_TAGS[self._signal]
        items = (item for scope in self._scopes() for item in self._occurrences(*scope, 2))
        for item in items:
            count += self._count(*item, tags, most - count)
            if count > most:
                raise TooLargeError(
                    f"the request's {_NAMES[self._signal]} hold over {most} attributes, events "
                    "and links; send smaller batches"
                )

    def _scopes(self) -> Iterator[tuple[int, int]]:
        for resource in self._occurrences(0, len(self._body), 1):
            yield from self._occurrences(*resource, 2)

    def _count(self, offset: int, end: int, tags: bytes, most: int) -> int:
        """Count the fields that begin with one of the `tags` in one message, stop above `most`.

        The loop reads the usual spelling (one byte of tag, a length of up to two) by itself:
        read_field costs five times as much.
        """
        body, count = self._body, 0
        while offset < end and count <= most:
            size_at = offset + 1
            if body[offset] in tags and size_at < end and (size := body[size_at]) < 0x80:
                count, offset = count + 1, size_at + 1 + size
            elif body[offset] in tags and size_at + 1 < end and (high := body[size_at + 1]) < 0x80:
                count, offset = count + 1, size_at + 2 + (size & 0x7F | high << 7)
            else:
                field, wire_type, _, offset = self._read_field(offset, end)
                count += wire_type == LENGTH and field < 16 and field << 3 | LENGTH in tags
        return count

    def _occurrences(self, offset: int, end: int, wanted: int) -> list[tuple[int, int]]:
        """Return where each occurrence of one field's payload starts and ends."""
        found = []
        while offset < end:
            field, wire_type, start, offset = self._read_field(offset, end)
            if wire_type == LENGTH and field == wanted:
                found.append((start, offset))
        return found

    def _read_field(self, offset: int, end: int) -> tuple[int, int, int, int]:
        if self._fields_left <= 0:
            raise PermanentError(
                f"the request holds over {_FIELDS} fields beside its {_NAMES[self._signal]}"
            )
        self._fields_left -= 1
        return read_field(self._body, offset, end)
