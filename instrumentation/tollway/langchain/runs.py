"""Own the live runs: each run's span and context by run id, bounded; what runs are is `kinds`'s."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, set_span_in_context

from tollway import attributes as attr
from tollway._context import with_labels
from tollway._span import CallSpan
from tollway.langchain.labels import complete

MAX_LIVE_RUNS = 16_384
"""LangChain forgets the end of some runs (a cancelled one); beyond this the oldest is given up."""

RUN_KEY = otel_context.create_key("tollway-langchain-run")
# The key that OpenTelemetry keeps the current span under, to set both with one copy.
_SPAN_KEY = next(iter(set_span_in_context(INVALID_SPAN, Context())))
NOTHING: Mapping[str, Any] = {}


class Run:
    """One live run: the context of the code inside it, and its span where it is shown."""

    # Defaults on the class: most runs change few of them, and a chain starts many runs.
    call: CallSpan | None = None
    context = Context()
    node: Any = None
    """The graph node that the run is, or is part of."""
    failures: dict[Any, int] | None = None
    """Of a graph: how often each of its tasks failed, once one did."""
    metadata: Mapping[str, Any] | None = None
    """LangChain's metadata of the run; a run below with the same inherits all it says."""
    given: Mapping[str, str] = NOTHING
    """The labels that the config of this run, or of a run above it, has set."""
    extra: Mapping[str, Any] = NOTHING
    """Attributes that a run not shown leaves to the calls under it."""
    fallbacks = 0
    input: str | None = None
    """What is recorded as its input, set with the output: one lock of the span less."""
    input_name = attr.INPUT_VALUE
    step: int | None = None
    """Which step of a sequence the run is."""
    passed: tuple[int, Any, str | None] | None = None
    """Of a sequence: which step is next, the value that it takes, and that as recorded."""
    below: set[int] | None = None
    """The entries of the runs right below it that are live, once there was one."""
    is_told_apart = False
    """Whether LangChain tells its end with what came, also after the runs above it ended."""
    told_last: Mapping[str, Any] = NOTHING
    """Attributes that no sampler asks for, set with the output too."""

    def __init__(self, run_id: UUID, kind: str, parent: Run | None) -> None:
        self.run_id = run_id
        self.kind = kind
        self.parent = parent

    def enter(self, context: Context, span: Span | None = None) -> None:
        """Make the context of the code inside the run, from the one it was started in."""
        values = {**context, RUN_KEY: self}
        if span is not None:
            values[_SPAN_KEY] = span
        self.context = Context(values)

    def last_attributes(self, name: str | None, value: Any) -> dict[str, Any]:
        """Return what is set on the span as it ends: its input, and one more where it is known."""
        found: dict[str, Any] = {**self.told_last}
        if self.input is not None:
            found[self.input_name] = self.input
        if name is not None and value is not None:
            found[name] = value
        return found

    @property
    def task(self) -> Any:
        """What LangGraph tells the tasks of a graph apart by, None where the run is none."""
        return self.metadata.get("langgraph_checkpoint_ns") if self.metadata else None

    def note_failure(self, task: Any) -> None:
        """Note that a task of this graph failed."""
        if isinstance(task, str):
            self.failures = self.failures or {}
            self.failures[task] = self.failures.get(task, 0) + 1

    def label(self, labels: Mapping[str, str]) -> None:
        """Add labels that became known after the start: to its span, and to all under it."""
        self.given = {**self.given, **labels}
        added = complete(labels, self.context)
        self.context = with_labels(added, self.context)
        if self.call is not None:
            self.call.set_all(added)


class Runs:
    """The live runs by id. A run that is not shown may share the entry of the one above it."""

    def __init__(self, give_up: Callable[[Run], None]) -> None:
        # By the id's number: a UUID hashes and compares in Python, a microsecond a look-up.
        self._live: dict[int, Run] = {}
        self._give_up = give_up

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Run]:
        return iter(list(self._live.values()))

    def get(self, run_id: UUID | None) -> Run | None:
        """Return the run that an id stands for, None when it is unknown or ended."""
        return None if run_id is None else self._live.get(run_id.int)

    def put(self, run_id: UUID, run: Run) -> None:
        """Enter a run, or an alias of one; of too many entries the oldest is given up."""
        number = run_id.int
        self._live[number] = run
        above = run.parent if run.run_id is run_id else run
        if above is not None:
            if above.below is None:
                above.below = set()
            above.below.add(number)
        while len(self._live) > MAX_LIVE_RUNS:
            oldest = next(iter(self._live), None)
            given_up = None if oldest is None else self._pop(oldest)
            if given_up is not None:
                self._give_up(given_up)

    def pop(self, run_id: UUID) -> Run | None:
        """Remove an entry; return its run, None when the id was an alias or unknown."""
        return self._pop(run_id.int)

    def pop_below(self, run: Run) -> Iterator[Run]:
        """Remove what is live below a run, but for runs that are told apart; yield the runs."""
        while run.below:
            number = run.below.pop()
            below = self._live.get(number)
            if below is None or below.is_told_apart:
                continue
            popped = self._pop(number)
            if popped is not None:
                yield from self.pop_below(popped)
                yield popped

    def _pop(self, number: int) -> Run | None:
        run = self._live.pop(number, None)
        if run is None:
            return None
        is_alias = run.run_id.int != number
        above = run if is_alias else run.parent
        if above is not None and above.below:
            above.below.discard(number)
        return None if is_alias else run

    def clear(self) -> None:
        """Give up every run."""
        while self._live:
            _, run = self._live.popitem()
            self._give_up(run)


def context_under(parent: Run | None, ambient: Context) -> Context:
    """Return the context that a new run starts in.

    The current one where it lies inside the parent's body (spans of the app's own in between
    count), else the parent's: a thread without our context, or a step pulled by its neighbour.
    """
    if parent is None or ambient.get(RUN_KEY) is parent:
        return ambient
    return parent.context
