"""Own scores and outcomes: on the current span, or for a span or trace that is over.

Which trace a route's block last saw is `_context`'s knowledge.
"""

from __future__ import annotations

import math
import time
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from tollway import attributes as attr
from tollway._context import current_scope
from tollway._guard import guard, warn_once
from tollway._setup import current, tracer

_HEX = frozenset("0123456789abcdef")


def score(
    name: str,
    value: bool | float,
    *,
    label: str | None = None,
    explanation: str | None = None,
    source: str = "code",
    trace_id: str | int | None = None,
    span_id: str | int | None = None,
) -> None:
    """Record an evaluation of the current span, or later of a trace whose id the app kept.

    value: a finite number; True is 1, False is 0. label: "pass" or "fail" where there is a
    threshold. source: who judged ("code", "llm", "human", …). trace_id: hex; without span_id the
    whole trace is meant. With neither an id nor a recording span, the span that last ended inside
    the enclosing `route` or `session` block is meant. Never raises: what cannot be recorded is
    counted and warned of once.
    """
    with guard("score"):
        event = _event(name, value, label=label, explanation=explanation, source=source)
        if event is not None:
            _record(event, trace_id, span_id)


def outcome(
    name: str,
    value: bool | float = True,
    *,
    label: str | None = None,
    explanation: str | None = None,
    source: str = "user",
    trace_id: str | int | None = None,
    span_id: str | int | None = None,
) -> None:
    """Record what the user or the business did later: `thumbs_down`, `escalation`, `refund`.

    Parameters are those of `score`.
    """
    with guard("outcome"):
        event = _event(name, value, label=label, explanation=explanation, source=source)
        if event is not None:
            _record({**event, attr.SCORE_KIND: "outcome"}, trace_id, span_id)


def _record(event: dict[str, Any], trace_id: str | int | None, span_id: str | int | None) -> None:
    """Put a score where it belongs: by id, on the current span, or on the last that ended."""
    if trace_id is not None or span_id is not None:
        _record_by_id(event, trace_id, span_id)
        return
    span = trace.get_current_span()
    if span.is_recording():
        span.add_event(attr.EVENT_EVALUATION_RESULT, event)
        return
    ended = _last_ended()
    if ended is not None:
        _send_carrier(event, ended.trace_id, ended.span_id)
        return
    warn_once(
        "score: no span",
        f"score {event[attr.EVALUATION_NAME]!r} is not recorded: no span is recording here, none "
        "ended inside the enclosing route or session, and no trace_id is given",
    )


def _event(
    name: str, value: Any, *, label: str | None, explanation: str | None, source: str
) -> dict[str, Any] | None:
    """Return the attributes of a score's event; None when its value is no finite number."""
    from tollway._capture import Content

    number = _number(value)
    if number is None:
        warn_once("score: value", f"score {name!r} is not recorded: {value!r} is no finite number")
        return None
    event: dict[str, Any] = {
        attr.EVALUATION_NAME: str(name),
        attr.EVALUATION_SCORE_VALUE: number,
        attr.SCORE_SOURCE: str(source),
    }
    if label is not None:
        event[attr.EVALUATION_SCORE_LABEL] = str(label)
    if explanation is not None:
        state = current()
        content = state.content if state is not None else Content()
        text = content.always(str(explanation))
        if text is not None:
            event[attr.EVALUATION_EXPLANATION] = text
    return event


def _record_by_id(
    event: dict[str, Any], trace_id: str | int | None, span_id: str | int | None
) -> None:
    trace_number = _id_number(trace_id, 32)
    span_number = _id_number(span_id, 16) if span_id is not None else 0
    if not trace_number or span_number is None:
        warn_once(
            "score: id",
            f"score {event[attr.EVALUATION_NAME]!r} is not recorded: trace_id must be 32 hex "
            f"digits and span_id 16, not {trace_id!r} and {span_id!r}",
        )
        return
    _send_carrier(event, trace_number, span_number)


def _send_carrier(event: dict[str, Any], trace_id: int, span_id: int) -> None:
    """Send a zero-duration span whose only load is the score of a span that is over."""
    import random  # 3 ms, not at `import tollway`

    target = {
        attr.SCORE_TRACE_ID: trace.format_trace_id(trace_id),
        attr.SCORE_SPAN_ID: trace.format_span_id(span_id) if span_id else "",
    }
    parent = SpanContext(
        trace_id,
        span_id or random.getrandbits(63) + 1,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    now_ns = time.time_ns()
    carrier = tracer().start_span(
        attr.EVENT_EVALUATION_RESULT,
        context=trace.set_span_in_context(NonRecordingSpan(parent)),
        kind=SpanKind.INTERNAL,
        start_time=now_ns,
    )
    carrier.add_event(attr.EVENT_EVALUATION_RESULT, {**event, **target}, timestamp=now_ns)
    carrier.end(now_ns)


def _last_ended() -> SpanContext | None:
    scope = current_scope()
    for block in reversed(scope.blocks if scope else ()):
        if block.last_ended is not None:
            return block.last_ended
    return None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and not isinstance(value, str) else None


def _id_number(value: Any, digits: int) -> int | None:
    """Return a non-zero id as a number, None when it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 < value < 16**digits else None
    text = str(value).strip().lower().removeprefix("0x").replace("-", "")
    if len(text) == digits and _HEX.issuperset(text):
        return int(text, 16) or None
    return None
