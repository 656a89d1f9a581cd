"""Own the runs of chains: which of them are plumbing, and the short way that plumbing takes.

A chain is mostly prompts, parsers, lambdas and sequences, so what such a run costs is what the
library costs. What a run is that is more than that, `kinds` tells and `starts` starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from opentelemetry.context import Context

from tollway import attributes as attr
from tollway._context import stamps
from tollway._setup import State
from tollway._span import CallSpan
from tollway.langchain import kinds, scopes
from tollway.langchain.fallbacks import current_attempt
from tollway.langchain.labels import has_labels, read_tags
from tollway.langchain.runs import RUN_KEY, Run, Runs
from tollway.langchain.starts import Start, value_text


def is_plumbing(
    parent: Run, name: str, tags: Sequence[str] | None, metadata: Mapping[str, Any] | None
) -> bool:
    """Tell whether a chain run below another says nothing but its name.

    Graphs, agents, nodes, attempts, and runs that set a label say more.
    """
    if parent.kind in kinds.GRAPHS or parent.extra or name in kinds.AGENT_NAMES:
        return False
    # Most runs have the metadata that they inherited, and what that says is the parent's.
    if metadata and metadata != parent.metadata:
        if "langgraph_node" in metadata or has_labels(metadata):
            return False
    elif parent.node == name and name:
        return False
    if tags:
        said = read_tags(tags)
        is_inherited = said.attempt is None and said.labels.items() <= parent.given.items()
        if not (said.is_plain or is_inherited):
            return False
    scope = scopes.current_scope.get()
    return (scope is None or not scope.waits_for_chain) and current_attempt.get() is None


def start_plumbing(
    state: State,
    runs: Runs,
    ambient: Context,
    parent: Run,
    run_id: UUID,
    name: str,
    tags: Sequence[str] | None,
    metadata: Mapping[str, Any] | None,
    inputs: Any,
) -> None:
    """Start the span of a run that `is_plumbing`; let it stand for its parent where it has none."""
    if state.langchain_mode != "all" or not (parent.call is None or parent.call.is_recording):
        runs.put(run_id, parent)
        return
    run = Run(run_id, kinds.CHAIN, parent)
    run.metadata = metadata
    run.given = parent.given
    context = ambient if ambient.get(RUN_KEY) is parent else parent.context
    span = state.tracer.start_span(f"chain {name}", context=context, attributes=stamps(context))
    call = run.call = CallSpan(span, state.content)
    run.enter(context, span)
    runs.put(run_id, run)
    if not call.is_recording:
        return
    told: dict[str, Any] = {attr.LANGCHAIN_RUN_TYPE: kinds.CHAIN}
    run.told_last = told
    if parent.node is not None and metadata:
        run.node = metadata.get("langgraph_node")
        if run.node is not None:
            told[attr.GRAPH_NODE] = run.node
    if tags:
        said = read_tags(tags)
        run.step = said.step
        if said.own:
            told[attr.LANGCHAIN_TAGS] = said.own
    if state.content.enabled:
        _record_input(state, run, inputs)


def _record_input(state: State, run: Run, inputs: Any) -> None:
    """Read a run's input; that of a step is what the step before gave, which has been read.

    Between two steps, or a sequence's start and its first, no code of the app runs.
    """
    parent = run.parent
    passed = None if parent is None else parent.passed
    if parent is not None and passed is not None and _is_passed(passed, run, inputs):
        text = passed[2]
        parent.passed = None  # another attempt may find it changed
    else:
        text = value_text(state, inputs)
    run.input = text
    run.passed = (1, inputs, text)


def _is_passed(passed: tuple[int, Any, str | None], run: Run, inputs: Any) -> bool:
    return passed[0] == run.step and passed[1] is inputs


def output_text(state: State, run: Run, value: Any) -> str | None:
    """Return a run's output as recorded, and keep it for the step that takes it."""
    text = value_text(state, value)
    if run.step is not None and run.parent is not None:
        run.parent.passed = (run.step + 1, value, text)
    return text


def start_chain(state: State, start: Start, name: str, run_type: str | None, inputs: Any) -> None:
    """Start the span of any chain run: a graph, an agent, a node, the request itself, plumbing."""
    parent = start.parent
    is_root = parent is None
    scope = scopes.untaken(kinds.GRAPH)
    scopes.note_fallbacks(start.run_id)
    if scope is not None:
        kind = kinds.graph_kind(scope.component)
    else:
        kind = kinds.chain_kind(name, start.metadata, parent)
    is_shown = kinds.is_shown(kind, state.langchain_mode, start.context, run_type, is_root=is_root)
    is_left_out = not is_shown or (scope is None and start.is_unsampled)
    if is_left_out and start.share():
        return
    run = Run(start.run_id, kind, parent)
    if not is_shown:
        start.hide(run)
        return
    if scope is not None:
        scope.run = run
        start.configure(scope.configurable)
    attributes = start.attributes(kind, name)
    if kind == kinds.NODE and parent is not None and parent.failures:
        failures = parent.failures.get((start.metadata or {}).get("langgraph_checkpoint_ns"))
        if failures:
            attributes[attr.RETRY_ATTEMPT] = failures + 1
    span_name = kinds.describe(kind, name, attributes, is_root=is_root)
    call = start.show(state, run, span_name, attributes)
    if call.is_recording and state.content.enabled:
        run.step = start.tags.step
        _record_input(state, run, inputs)
