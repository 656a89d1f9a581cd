"""How many attributes, events and links a trace request may hold, bounded from above in no time.

Each begins with its field's tag, one byte, which may also stand anywhere else: counting bytes runs
at the speed of memory.
"""

from __future__ import annotations

from tollway_processor.receive.wire import LENGTH, WireError, read_field


def _tags(*fields: int) -> tuple[bytes, ...]:
    """Return the first byte of the fields' tags, also as spelt with a needless second byte."""
    tags = [field << 3 | LENGTH for field in fields]
    return tuple(bytes((tag | more,)) for tag in tags for more in (0, 0x80))


# https://github.com/open-telemetry/opentelemetry-proto, trace.proto
_SPAN_ATTRIBUTES, _EVENT_ATTRIBUTES = _tags(9), _tags(3)
_EVENTS, _LINKS, _RESOURCE_ATTRIBUTES = _tags(11), _tags(13), _tags(1)
_LEAST_BYTES = 2  # of an attribute: its tag and its length


def attributes(body: bytes) -> int:
    """Return a number that no span's and no event's attributes in `body` exceed."""
    return max(_count(body, _SPAN_ATTRIBUTES), _count(body, _EVENT_ATTRIBUTES))


def events(body: bytes) -> int:
    """Return a number that no span's events exceed."""
    return _count(body, _EVENTS)


def links(body: bytes) -> int:
    """Return a number that no span's links exceed."""
    return _count(body, _LINKS)


def may_exceed_in_resource(body: bytes, most: int) -> bool:
    """Whether some resource of `body` may hold more than `most` attributes.

    Their tag is the most frequent byte of a request, so the resources' sizes are looked at too.
    """
    if _count(body, _RESOURCE_ATTRIBUTES) <= most:
        return False
    try:
        return any(size > _LEAST_BYTES * most for size in _resource_sizes(body))
    except WireError:
        return True


def _resource_sizes(body: bytes) -> list[int]:
    sizes, offset = [], 0
    while offset < len(body):
        _, wire_type, start, end = read_field(body, offset, len(body))
        offset = end
        if wire_type != LENGTH:
            continue
        size = 0
        while start < end:
            field, wire_type, inner, start = read_field(body, start, end)
            if field == 1 and wire_type == LENGTH:
                size += start - inner
        sizes.append(size)
    return sizes


def _count(body: bytes, tags: tuple[bytes, ...]) -> int:
    return sum(map(body.count, tags))
