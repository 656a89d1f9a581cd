"""Own the labels (route, cohort, variant, session, user) of the running context.

The labels live in the OpenTelemetry context, so they follow every thread and task that copies it,
and in its baggage, so they reach the next service. `_stamp` puts them on spans.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar, Token
from typing import Any, cast

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from tollway import attributes as attr

BAGGAGE_KEYS = (attr.ROUTE, attr.COHORT, attr.VARIANT, attr.SESSION_ID, attr.USER_ID)
SCOPE_KEY = otel_context.create_key("tollway-scope")
SUPPRESS_KEY = otel_context._SUPPRESS_INSTRUMENTATION_KEY
_NOTHING: Mapping[str, str | bool] = {}


class Block:
    """What one entered `route` or `session` block knows of the spans that run inside it."""

    __slots__ = ("last_ended", "owner", "token", "trace_id")

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.token: Token[Context] | None = None
        self.last_ended: SpanContext | None = None
        self.trace_id: str | None = None
        """Hex id of the trace last started inside the block; None before there is one."""


class Scope:
    """The labels of one context, and the blocks that enclose it (innermost last)."""

    __slots__ = ("blocks", "labels")

    def __init__(self, labels: Mapping[str, str | bool], blocks: tuple[Block, ...]) -> None:
        self.labels = labels
        self.blocks = blocks


_LLM_OPERATIONS = frozenset({"chat", "text_completion", "generate_content"})


class LlmCallOwner:
    """A framework's claim on the LLM call that it is about to make through a known client."""

    __slots__ = ("attributes", "is_open", "is_taken", "parent")

    def __init__(self, parent: Context | None, attributes: Mapping[str, Any]) -> None:
        self.parent = parent
        self.attributes = attributes
        self.is_taken = False
        self.is_open = True
        """False once the framework's call is past its request: later requests are not its own."""

    @property
    def is_spent(self) -> bool:
        """Tell whether no further request can be the framework's call: a sync one stays behind."""
        return self.is_taken or not self.is_open

    def take(self, operation: str | None) -> bool:
        """Return True to the one request that makes the framework's call."""
        if self.is_spent or operation not in _LLM_OPERATIONS:
            return False
        self.is_taken = True
        return True


llm_call_owner: ContextVar[LlmCallOwner | None] = ContextVar("tollway_llm_call_owner", default=None)
"""Set by a framework's handler; the client's patch takes parent and attributes from it."""


def current_scope(context: Context | None = None) -> Scope | None:
    """Return the scope of a context, the current one by default."""
    ctx = otel_context.get_current() if context is None else context
    return cast("Scope | None", ctx.get(SCOPE_KEY))


def stamps(context: Context | None = None) -> Mapping[str, str | bool]:
    """Return the label attributes for a span started in a context.

    Without a scope they come from the baggage that a remote parent sent along.
    """
    ctx = otel_context.get_current() if context is None else context
    scope: Any = ctx.get(SCOPE_KEY)
    if scope is not None:
        labels: Mapping[str, str | bool] = scope.labels
        return labels
    # Nobody has baggage while its module, 14 ms of import, is not loaded.
    # A thread may meet it half loaded by another.
    key = getattr(sys.modules.get("opentelemetry.baggage"), "_BAGGAGE_KEY", None)
    carried = ctx.get(key) if key is not None else None
    if not carried or not isinstance(carried, Mapping):
        return _NOTHING
    return {key: str(carried[key]) for key in BAGGAGE_KEYS if carried.get(key)}


def is_suppressed(context: Context | None = None) -> bool:
    """Tell whether `tollway.suppress()` or OpenTelemetry's own suppression is in force."""
    ctx = otel_context.get_current() if context is None else context
    return bool(ctx.get(SUPPRESS_KEY))


def with_labels(
    labels: Mapping[str, object],
    context: Context | None = None,
    block: Block | None = None,
) -> Context:
    """Return a context with labels added over those it has, in its scope and its baggage.

    labels: attribute name to value; None values are left out. block: remembers the spans inside.
    """
    ctx = otel_context.get_current() if context is None else context
    outer = cast("Scope | None", ctx.get(SCOPE_KEY))
    given = {
        key: value if isinstance(value, bool) else str(value)
        for key, value in labels.items()
        if value is not None
    }
    merged = {**(outer.labels if outer else stamps(ctx)), **given}
    blocks = outer.blocks if outer else ()
    if block is not None:
        blocks = (*blocks, block)
    from opentelemetry import baggage  # 14 ms, not at `import tollway`

    for key, value in given.items():
        if key in BAGGAGE_KEYS:
            ctx = baggage.set_baggage(key, value, ctx)
    return otel_context.set_value(SCOPE_KEY, Scope(merged, blocks), ctx)


@contextlib.contextmanager
def suppress() -> Iterator[None]:
    """Record none of the LLM calls made inside the block."""
    token = otel_context.attach(otel_context.set_value(SUPPRESS_KEY, True))
    try:
        yield
    finally:
        otel_context.detach(token)
