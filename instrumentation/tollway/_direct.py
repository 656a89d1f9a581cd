"""Own the short way of clean attributes onto a span of the SDK; any other span is not its business.

The SDK looks at every value again, 1 µs each, which for a call's twenty is a sixth of all that the
call costs. Values that it would keep as they are go where it would put them, under its own locks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_AS_THEY_ARE = frozenset({str, int, float, bool, tuple})
_IN_TUPLES = frozenset({str})
_TRIED: dict[type, bool] = {}
_MAX_TRIED = 64


def write(span: Any, attributes: Mapping[str, Any]) -> bool:
    """Set attributes as `span.set_attributes` would; False, and nothing done, where it must.

    It must where a value needs a look, a limit could be met, a key is there already, the span has
    ended, or is none of the SDK's own.
    """
    kind = span.__class__
    if not (_TRIED[kind] if kind in _TRIED else _try(kind)):
        return False
    values = list(attributes.values())
    kinds = list(map(type, values))  # one pass in C: a loop over fifteen values took 200 bytecodes
    if not _AS_THEY_ARE.issuperset(kinds):
        return False
    at = -1
    for _ in range(kinds.count(tuple)):
        at = kinds.index(tuple, at + 1)
        if not _IN_TUPLES.issuperset(map(type, values[at])):
            return False
    with span._lock:
        return span._end_time is None and _put(span._attributes, attributes)


def _put(bounded: Any, attributes: Mapping[str, Any]) -> bool:
    with bounded._lock:
        kept, most = bounded._dict, bounded.maxlen
        if bounded.max_value_len is not None or not kept.keys().isdisjoint(attributes):
            return False
        if most is not None and len(kept) + len(attributes) > most:
            return False
        kept.update(attributes)
        return True


def _try(kind: type) -> bool:
    """Find out whether a class of spans is the SDK's own, and works as this module knows it."""
    is_known = (
        kind.__module__ == "opentelemetry.sdk.trace"
        and kind.__name__ == "_Span"
        # Another library may have wrapped the method.
        and getattr(kind.set_attributes, "__module__", "") == "opentelemetry.sdk.trace"  # type: ignore[attr-defined]  # any class of spans has it
        and _works_alike()
    )
    if len(_TRIED) < _MAX_TRIED:
        _TRIED[kind] = is_known
    return is_known


def _works_alike() -> bool:
    """Put the same attributes both ways, and compare what is there then."""
    from opentelemetry.attributes import BoundedAttributes

    sample: dict[str, Any] = {"s": "a\ud800", "i": 1, "f": 0.5, "b": True, "t": ("x", "y")}
    public = BoundedAttributes(8, {"first": 1}, immutable=False)
    for key, value in sample.items():
        public[key] = value
    own = BoundedAttributes(8, {"first": 1}, immutable=False)
    try:
        is_put = _put(own, sample)
    except AttributeError:
        return False
    return is_put and list(own.items()) == list(public.items()) and own.dropped == public.dropped
