"""Own the span processor that stamps every span with the labels of the context it starts in."""

from __future__ import annotations

from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import format_trace_id

from tollway import attributes as attr
from tollway._context import SCOPE_KEY, stamps
from tollway._span import SCOPE_NAME, end_orphans


class StampProcessor(SpanProcessor):
    """Stamps spans of every library, and tells blocks which spans started and ended in them."""

    def __init__(self) -> None:
        self.is_active = True

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        ctx = otel_context.get_current() if parent_context is None else parent_context
        # Nothing is asked of a span that starts in an empty context: it is every span's business.
        if not ctx or not self.is_active or span.name == attr.EVENT_EVALUATION_RESULT:
            return
        own = span.instrumentation_scope
        # Tollway's own spans are given the labels at creation, where samplers see them.
        if own is None or own.name != SCOPE_NAME:
            labels = stamps(ctx)
            if labels:
                span.set_attributes(labels)
        scope: Any = ctx.get(SCOPE_KEY)
        if scope is not None and scope.blocks:
            trace_id = format_trace_id(span.context.trace_id)
            for block in scope.blocks:
                block.trace_id = trace_id

    def on_end(self, span: ReadableSpan) -> None:
        scope: Any = otel_context.get_current().get(SCOPE_KEY)
        if scope is None or not self.is_active or span.name == attr.EVENT_EVALUATION_RESULT:
            return
        for block in scope.blocks:
            block.last_ended = span.context

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        end_orphans()
        return True
