"""Own the short way of a call that is sure not to be recorded: no span is built to find it out.

Sure are the SDK's own samplers that drop whatever comes; every other one is asked by the tracer.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    Span,
    SpanContext,
    TraceFlags,
    set_span_in_context,
)

_RANDOM_ID = 0x02  # W3C trace context, level 2: the random-trace-id flag
(SPAN_KEY,) = set_span_in_context(INVALID_SPAN, Context())
"""Where OpenTelemetry keeps the current span in a context."""


class DropShortcut:
    """Knows, for one tracer, the contexts in which its sampler drops every span."""

    __slots__ = ("_drop", "_parent_based", "_root_flags", "_static", "_tracer")

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer if _is_stock(tracer) else None
        if self._tracer is None:
            return
        from opentelemetry.sdk.trace import sampling  # there already: the tracer's own

        self._static, self._drop = type(sampling.ALWAYS_OFF), sampling.Decision.DROP
        self._parent_based = sampling.ParentBased
        is_random = getattr(tracer.id_generator, "is_trace_id_random", None)
        self._root_flags = TraceFlags(_RANDOM_ID if is_random is not None and is_random() else 0)

    def context(self, parent: Context) -> Context | None:
        """Return the context to run a dropped call in; None where the tracer must be asked.

        It is `parent` itself where that says "not sampled" already: the id of one more span that
        nobody records would tell nobody anything.
        """
        tracer = self._tracer
        if tracer is None:
            return None
        sampler = tracer.sampler
        if sampler.__class__ is self._static and sampler._decision is not self._drop:
            return None
        span = parent.get(SPAN_KEY)
        above = None
        if span is not None and isinstance(span, Span):
            said = span.get_span_context()
            above = said if said.is_valid else None
        if not self._drops(sampler, above):
            return None
        ids = tracer.id_generator
        if above is None:
            made = SpanContext(
                ids.generate_trace_id(), ids.generate_span_id(), False, self._root_flags
            )
        elif not above.trace_flags.sampled:
            return parent
        else:
            flags = TraceFlags(above.trace_flags & _RANDOM_ID)
            made = SpanContext(
                above.trace_id, ids.generate_span_id(), False, flags, above.trace_state
            )
        return Context({**parent, SPAN_KEY: NonRecordingSpan(made)})

    def _drops(self, sampler: Any, above: SpanContext | None) -> bool:
        if sampler.__class__ is self._parent_based:
            if above is None:
                sampler = sampler._root
            else:
                origin = "remote" if above.is_remote else "local"
                verdict = "sampled" if above.trace_flags.sampled else "not_sampled"
                sampler = getattr(sampler, f"_{origin}_parent_{verdict}", None)
        return sampler.__class__ is self._static and sampler._decision is self._drop


def _is_stock(tracer: Any) -> bool:
    """Tell the SDK's own tracer, as it is and without metrics of its own spans."""
    kind = type(tracer)
    counted = getattr(tracer, "_tracer_metrics", None)
    return (
        kind.__module__ == "opentelemetry.sdk.trace"
        and kind.__name__ == "Tracer"
        and getattr(kind.start_span, "__module__", "") == kind.__module__
        and (counted is None or type(counted).__name__ == "NoOpTracerMetrics")
    )
