"""Own the start of a run: its parent, the context it starts in, its labels, and its span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from tollway import attributes as attr
from tollway._context import stamps, with_labels
from tollway._guard import report
from tollway._setup import State
from tollway._span import CallSpan
from tollway.langchain import kinds
from tollway.langchain.fallbacks import current_attempt
from tollway.langchain.labels import (
    complete,
    fresh,
    labels_of,
    labels_of_configurable,
    read_tags,
)
from tollway.langchain.messages import value_json
from tollway.langchain.runs import NOTHING, Run, Runs, context_under


class Start:
    """What is known of a run before there is one."""

    __slots__ = (
        "_given",
        "_labels",
        "_runs",
        "context",
        "extra",
        "metadata",
        "parent",
        "run_id",
        "tags",
    )

    def __init__(
        self,
        runs: Runs,
        ambient: Context,
        run_id: UUID,
        parent_run_id: UUID | None,
        tags: Sequence[str] | None,
        metadata: Mapping[str, Any] | None,
    ) -> None:
        parent = runs.get(parent_run_id)
        attempt = current_attempt.get()
        if attempt is not None:
            parent = attempt.adopt(parent, run_id, parent_run_id)
        self._runs = runs
        self.run_id = run_id
        self.parent = parent
        self.metadata = metadata
        self.tags = tags_said = read_tags(tags)
        given, extra = (NOTHING, NOTHING) if parent is None else (parent.given, parent.extra)
        # What a run above that has no span left to this one, and which retry this is.
        if tags_said.attempt is not None:
            extra = {**extra, attr.RETRY_ATTEMPT: tags_said.attempt}
        self.extra = extra
        context = context_under(parent, ambient)
        labels = fresh(labels_of(metadata, tags_said), given)
        self._labels = labels
        if labels:
            given = {**given, **labels}
            context = with_labels(complete(labels, context), context)
        self._given = given
        self.context = context

    def share(self) -> bool:
        """Let a run without a span stand for the one above it; False where it cannot."""
        parent = self.parent
        if parent is None or self._labels or self.extra is not parent.extra:
            return False
        self._runs.put(self.run_id, parent)
        return True

    @property
    def is_unsampled(self) -> bool:
        """Whether the run above has a span that is not recorded: chains below it need none."""
        parent = self.parent
        return parent is not None and parent.call is not None and not parent.call.is_recording

    def hide(self, run: Run) -> None:
        """Enter a run that has no span."""
        self._note(run)
        run.extra = self.extra
        run.enter(self.context)
        self._runs.put(self.run_id, run)

    def _note(self, run: Run) -> None:
        if self._given:
            run.given = self._given
        if self.metadata:
            run.metadata = self.metadata
            run.node = self.metadata.get("langgraph_node")

    def configure(self, configurable: Mapping[str, Any]) -> None:
        """Add the session, thread and user that a call's config names, but for known ones."""
        labels = fresh(labels_of_configurable(configurable), self._given)
        if labels:
            self._given = {**self._given, **labels}
            self.context = with_labels(complete(labels, self.context), self.context)

    def attributes(self, kind: str, name: str) -> dict[str, Any]:
        """Return the attributes that a span of any kind starts with."""
        found = kinds.run_attributes(kind, name, self.metadata, self.tags)
        if self.extra:
            found.update(self.extra)
        found.update(stamps(self.context))
        return found

    def show(
        self, state: State, run: Run, span_name: str, attributes: Mapping[str, Any]
    ) -> CallSpan:
        """Enter a run that has a span, and start that."""
        span = state.tracer.start_span(
            span_name, context=self.context, kind=SpanKind.INTERNAL, attributes=attributes
        )
        run.call = CallSpan(span, state.content)
        self._note(run)
        run.enter(self.context, span)
        self._runs.put(self.run_id, run)
        return run.call


def serialized_name(serialized: Mapping[str, Any] | None) -> str | None:
    """Return the name that a serialized component has, else its class."""
    if not serialized:
        return None
    name = serialized.get("name")
    if isinstance(name, str) and name:
        return name
    path = serialized.get("id")
    return str(path[-1]) if isinstance(path, list) and path else None


def value_text(state: State, value: Any) -> str | None:
    """Return a run's input or output as recorded: a string as it is, else JSON.

    An object of the app's own that cannot be read (a proxy outside its request, say) is named: that
    is no failure of the library, so it is not raised under test either.
    """
    try:
        if isinstance(value, str):
            return state.content.text(value)
        return state.content.json(value_json(value))
    except Exception as exc:  # noqa: BLE001 - any object's own methods
        report("langchain value", exc)
        return f"<unreadable {type(value).__name__}>"
