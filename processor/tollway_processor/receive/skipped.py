"""Fields that the C parser skips but the engine would stumble over; check.py refuses them.

Protobuf lets a reader skip what it does not know. A field of a known number but another wire type,
and a group (a wire type that proto3 does not have), count as that for the C parser; the engine
cannot decode either, and a batch that holds one has to be bisected.
"""

from __future__ import annotations

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from tollway_processor.errors import PermanentError
from tollway_processor.receive.schema import MESSAGES, ROOTS

_SKIPPED_BYTES = 1 << 20  # listed as Python objects they take 25 times as much
_GROUP = 3
_ENVELOPE = range(1000, 1002)  # fields of a request that the store adds itself, in otlp.proto
_WIRE_TYPES = ("a varint", "8 bytes", "a length-delimited field", "a group", "", "4 bytes")


def skipped_bytes(message: Message) -> int:
    """Return how many bytes the parser skipped in this message and below, and forget them."""
    whole = message.ByteSize()
    message.DiscardUnknownFields()
    return whole - message.ByteSize()


def refuse_unreadable(message: Message, skipped: int) -> None:
    """Raise PermanentError when one of the `skipped` bytes is of more than an unknown field.

    `message` is one that check_class() parsed, all occurrences of a field merged into one.
    """
    if skipped > _SKIPPED_BYTES:
        raise PermanentError(
            f"the request holds over {_SKIPPED_BYTES} bytes of fields that OTLP does not have"
        )
    _inspect(message)


def _inspect(message: Message) -> None:
    name = message.DESCRIPTOR.name.rstrip("0123456789")
    skipped = UnknownFieldSet(message)
    for index in range(len(skipped)):
        number, wire_type = skipped[index].field_number, skipped[index].wire_type
        field = MESSAGES[name].get(number)
        if number in _ENVELOPE and name in ROOTS.values():
            raise PermanentError(f"field {number} of the request is not a sender's to set")
        if field is not None or wire_type == _GROUP:
            what = f"field {number}" if field is None else field.name
            raise PermanentError(
                f"{what} of {name} is written as {_WIRE_TYPES[wire_type]}, which OTLP does not have"
            )
    for field_descriptor, value in message.ListFields():
        if field_descriptor.message_type is not None:
            _inspect(value)
