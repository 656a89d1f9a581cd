"""Own what a chain run is: a graph, an agent, a graph's node, or LangChain's own plumbing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context

from tollway import attributes as attr
from tollway.langchain.labels import Tags
from tollway.langchain.runs import Run

GRAPH = "graph"
AGENT = "agent"
NODE = "node"
CHAIN = "chain"
GRAPHS = frozenset({GRAPH, AGENT})
_OUTLINE = frozenset({GRAPH, AGENT, NODE})

_NAMED_BY_SPAN = frozenset({GRAPH, AGENT, NODE, CHAIN})
_LEAF_TYPES = frozenset({"prompt", "parser"})
AGENT_NAMES = frozenset({"AgentExecutor"})
_AGENT_NODES = ({"agent", "tools"}, {"model", "tools"})


def graph_kind(graph: Any) -> str:
    """Return whether a graph is an agent: made by create_agent, or of an agent's nodes."""
    config = getattr(graph, "config", None)
    metadata = config.get("metadata") if isinstance(config, Mapping) else None
    if isinstance(metadata, Mapping) and metadata.get("ls_integration") == "langchain_create_agent":
        return AGENT
    nodes = getattr(graph, "nodes", None)
    if isinstance(nodes, Mapping) and any(wanted <= nodes.keys() for wanted in _AGENT_NODES):
        return AGENT
    return GRAPH


def chain_kind(name: str, metadata: Mapping[str, Any] | None, parent: Run | None) -> str:
    """Return what a chain run is that is no graph itself."""
    if name in AGENT_NAMES:
        return AGENT
    # Runs below a node inherit its metadata; only the node itself differs in it from its parent.
    if metadata and parent is not None and metadata.get("langgraph_node") == name:
        is_node = parent.kind in GRAPHS or parent.node != name
        return NODE if is_node else CHAIN
    return CHAIN


def is_shown(
    kind: str, mode: Any, context: Context, run_type: str | None, *, is_root: bool
) -> bool:
    """Tell whether a run gets a span.

    A chain that starts a trace is the request, not plumbing: without its span, the calls under it
    would each fall into a trace of their own.
    """
    if kind in _OUTLINE or mode == "all":
        return True
    if not is_root or run_type in _LEAF_TYPES:
        return False
    return not trace.get_current_span(context).get_span_context().is_valid


def describe(kind: str, name: str, attributes: dict[str, Any], *, is_root: bool) -> str:
    """Return the name of a chain run's span, and add to its attributes what it is."""
    if kind == AGENT:
        attributes[attr.GEN_AI_OPERATION_NAME] = "invoke_agent"
        attributes[attr.GEN_AI_AGENT_NAME] = name
        return f"invoke_agent {name}"
    if kind == GRAPH or (kind == CHAIN and is_root):
        attributes[attr.GEN_AI_OPERATION_NAME] = "invoke_workflow"
        attributes[attr.GEN_AI_WORKFLOW_NAME] = name
        return f"invoke_workflow {name}"
    return f"{kind} {name}"


def run_attributes(
    kind: str, name: str, metadata: Mapping[str, Any] | None, tags: Tags
) -> dict[str, Any]:
    """Return what every run's span says: type, name, graph node, and the app's own tags."""
    found: dict[str, Any] = {attr.LANGCHAIN_RUN_TYPE: kind}
    if kind not in _NAMED_BY_SPAN:
        found[attr.LANGCHAIN_RUN_NAME] = name
    if metadata:
        node = metadata.get("langgraph_node")
        if isinstance(node, str):
            found[attr.GRAPH_NODE] = node
            step = metadata.get("langgraph_step")
            if kind == NODE and isinstance(step, int):
                found[attr.LANGGRAPH_STEP] = step
    if tags.own:
        found[attr.LANGCHAIN_TAGS] = tags.own
    return found


def is_bubble(error: BaseException) -> bool:
    """Tell whether an error is LangGraph's way to stop for a human, or to hand over control."""
    return _is_of_langgraph(error, "GraphBubbleUp")


def is_interrupt(error: BaseException) -> bool:
    """Tell whether an error is LangGraph's way to stop for a human."""
    return _is_of_langgraph(error, "GraphInterrupt")


def _is_of_langgraph(error: BaseException, name: str) -> bool:
    return any(
        cls.__name__ == name and cls.__module__.startswith("langgraph")
        for cls in type(error).__mro__
    )
