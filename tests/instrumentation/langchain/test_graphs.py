"""Graphs, nodes, agents and tools of LangGraph."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.tools import ToolException, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, RetryPolicy, Send, interrupt

CALL = "chat claude-test"
RAW = "chat gpt-4o-mini"


class State(TypedDict, total=False):
    said: Annotated[list[str], operator.add]


def _graph(*nodes: tuple[str, Any], name: str | None = None, **compiled: Any) -> Any:
    graph = StateGraph(State)
    before = START
    for node, function in nodes:
        graph.add_node(node, function)
        graph.add_edge(before, node)
        before = node
    graph.add_edge(before, END)
    return graph.compile(name=name, **compiled)


async def _consume(stream: Any) -> None:
    async for _ in stream:
        pass


WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "invoke": lambda graph, config: graph.invoke({"said": []}, config),
    "ainvoke": lambda graph, config: asyncio.run(graph.ainvoke({"said": []}, config)),
    "stream": lambda graph, config: list(graph.stream({"said": []}, config)),
    "astream": lambda graph, config: asyncio.run(_consume(graph.astream({"said": []}, config))),
    "astream_events": lambda graph, config: asyncio.run(
        _consume(graph.astream_events({"said": []}, config, version="v2"))
    ),
    "batch": lambda graph, config: graph.batch([{"said": []}], config),
}


@pytest.mark.parametrize("way", WAYS)
def test_graph_nodes_and_what_they_call(
    traced: Any, tree: Any, scripted: Any, wire: Any, samples: Any, ask: Any, way: str
) -> None:
    wire.says(samples.chat())
    model, client = scripted(), wire.client()

    def think(_: State) -> State:
        return {"said": [str(model.invoke("hi").content)]}

    def act(_: State) -> State:
        return {"said": [ask(client).choices[0].message.content]}

    graph = _graph(("think", think), ("act", act), name="support")
    WAYS[way](graph, {"configurable": {"thread_id": "t1", "user_id": "u1"}})
    assert tree(traced) == [
        ("invoke_workflow support", [("node think", [CALL]), ("node act", [RAW])])
    ]
    assert traced.named("node think").attributes["graph.node.id"] == "think"
    assert traced.named("node act").attributes["langgraph.step"] == 2
    assert traced.named(CALL).attributes["graph.node.id"] == "think"
    for span in traced.all():
        assert span.attributes["session.id"] == "t1", span.name
        assert span.attributes["user.id"] == "u1", span.name
        assert span.attributes["gen_ai.conversation.id"] == "t1", span.name


def test_session_of_the_context_manager_wins_over_the_thread_id(traced: Any) -> None:
    import tollway

    with tollway.session("s1"):
        _graph(("one", lambda _: {"said": ["a"]})).invoke(
            {"said": []}, {"configurable": {"thread_id": "t1"}}
        )
    for span in traced.all():
        assert span.attributes["session.id"] == "s1"
        assert span.attributes["gen_ai.conversation.id"] == "t1"


def test_parallel_nodes_nest_under_the_graph(traced: Any, tree: Any, scripted: Any) -> None:
    graph = StateGraph(State)
    for name in ("left", "right"):
        model = scripted(model=name)
        graph.add_node(name, lambda _, model=model: {"said": [model.invoke("x").content]})
        graph.add_edge(START, name)
        graph.add_edge(name, END)
    graph.compile().invoke({"said": []})
    [(root, nodes)] = tree(traced)
    assert root == "invoke_workflow LangGraph"
    assert sorted(nodes) == [("node left", ["chat left"]), ("node right", ["chat right"])]


def test_nodes_that_are_sent_work_are_nodes(traced: Any, tree: Any) -> None:
    graph = StateGraph(State)
    graph.add_node("plan", lambda _: {"said": ["plan"]})
    graph.add_node("work", lambda item: {"said": [str(item)]})
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", lambda _: [Send("work", 1), Send("work", 2)], ["work"])
    graph.compile().invoke({"said": []})
    assert tree(traced) == [("invoke_workflow LangGraph", ["node plan", "node work", "node work"])]


def test_subgraph_is_a_graph_under_its_node(traced: Any, tree: Any, scripted: Any) -> None:
    model = scripted()
    inner = _graph(("think", lambda _: {"said": [model.invoke("x").content]}), name="inner")

    def call(state: State) -> Any:
        return inner.invoke(state)

    called = _graph(("call", call), name="outer")
    called.invoke({"said": []})
    assert tree(traced) == [
        (
            "invoke_workflow outer",
            [("node call", [("invoke_workflow inner", [("node think", [CALL])])])],
        )
    ]
    traced.clear()
    _graph(("inner", inner), name="outer").invoke({"said": []})
    assert tree(traced) == [
        (
            "invoke_workflow outer",
            [("node inner", [("invoke_workflow inner", [("node think", [CALL])])])],
        )
    ]


def test_functional_api_shows_its_tasks(traced: Any, tree: Any, scripted: Any) -> None:
    model = scripted()

    @task
    def think(text: str) -> str:
        return str(model.invoke(text).content)

    @entrypoint()
    def workflow(text: str) -> str:
        return think(text).result()

    assert workflow.invoke("hi") == "Hello"
    [(root, [(node, below)])] = tree(traced)
    assert (root, node) == ("invoke_workflow LangGraph", "node workflow")
    assert below == [("node think", [CALL])]


def test_error_in_a_node_marks_node_and_graph(traced: Any) -> None:
    def broken(_: State) -> State:
        raise ValueError("no order")

    with pytest.raises(ValueError, match="no order"):
        _graph(("broken", broken)).invoke({"said": []})
    assert [span.attributes.get("error.type") for span in traced.all()] == ["ValueError"] * 2


@pytest.mark.parametrize("is_async", [False, True])
def test_interrupt_is_no_error(traced: Any, tree: Any, is_async: bool) -> None:
    def approve(_: State) -> State:
        return {"said": [interrupt("refund?")]}

    graph = _graph(("approve", approve), checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "t1"}}

    def run(given: Any) -> Any:
        if is_async:
            return asyncio.run(graph.ainvoke(given, config))
        return graph.invoke(given, config)

    assert "__interrupt__" in run({"said": []})
    node = traced.named("node approve")
    assert node.status.is_unset
    assert node.attributes["langgraph.interrupted"] is True
    assert "error.type" not in node.attributes
    assert not node.events
    graph_span = traced.named("invoke_workflow LangGraph")
    assert graph_span.status.is_unset
    assert graph_span.attributes["langgraph.interrupted"] is True
    traced.clear()
    assert run(Command(resume="yes"))["said"] == ["yes"]
    assert tree(traced) == [("invoke_workflow LangGraph", ["node approve"])]
    assert not [s for s in traced.all() if "langgraph.interrupted" in s.attributes]


def test_interrupt_in_a_subgraph_is_told_on_every_graph_that_stops(traced: Any) -> None:
    inner = _graph(("approve", lambda _: {"said": [interrupt("refund?")]}), name="inner")
    outer = _graph(
        ("before", lambda _: {"said": ["b"]}), ("sub", inner), checkpointer=InMemorySaver()
    )
    config = {"configurable": {"thread_id": "t1"}}
    outer.invoke({"said": []}, config)
    stopped = {s.name for s in traced.all() if s.attributes.get("langgraph.interrupted")}
    assert stopped == {
        "invoke_workflow LangGraph",
        "node sub",
        "invoke_workflow inner",
        "node approve",
    }
    traced.clear()
    assert outer.invoke(Command(resume="yes"), config)["said"][-1] == "yes"
    assert not [s for s in traced.all() if "langgraph.interrupted" in s.attributes]


@pytest.mark.parametrize("is_async", [False, True])
def test_tries_of_a_node_are_numbered(traced: Any, is_async: bool) -> None:
    tries: list[int] = []

    def shaky(_: State) -> State:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("busy")
        return {"said": ["done"]}

    graph: Any = StateGraph(State)
    policy = RetryPolicy(initial_interval=0.001, jitter=False, max_attempts=3)
    graph.add_node("shaky", shaky, retry_policy=policy)
    graph.add_edge(START, "shaky")
    app = graph.compile()
    if is_async:
        asyncio.run(app.ainvoke({"said": []}))
    else:
        app.invoke({"said": []})
    nodes = [s.attributes for s in traced.all() if s.name == "node shaky"]
    assert [said.get("tollway.retry.attempt") for said in nodes] == [None, 2, 3]
    assert [said.get("error.type") for said in nodes] == ["ConnectionError"] * 2 + [None]
    assert traced.named("invoke_workflow LangGraph").status.is_unset


def test_graph_at_its_recursion_limit_is_an_error(traced: Any) -> None:
    graph = StateGraph(State)
    graph.add_node("again", lambda _: {"said": ["x"]})
    graph.add_edge(START, "again")
    graph.add_edge("again", "again")
    with pytest.raises(GraphRecursionError):
        graph.compile().invoke({"said": []}, {"recursion_limit": 3})
    root = traced.named("invoke_workflow LangGraph")
    assert root.attributes["error.type"] == "GraphRecursionError"
    assert len(traced.all()) == 4


def test_handing_over_to_the_parent_graph_is_no_error(traced: Any) -> None:
    inner = _graph(("leave", lambda _: Command(graph=Command.PARENT, goto="last")), name="inner")
    graph = StateGraph(State)
    graph.add_node("first", inner)
    graph.add_node("last", lambda _: {"said": ["done"]})
    graph.add_edge(START, "first")
    assert graph.compile().invoke({"said": []})["said"] == ["done"]
    assert [s.name for s in traced.all() if not s.status.is_unset or s.events] == []
    assert not [s.name for s in traced.all() if "langgraph.interrupted" in s.attributes]


@pytest.mark.parametrize("is_async", [False, True])
def test_agent_its_model_and_its_tools(
    traced: Any, tree: Any, scripted: Any, is_async: bool
) -> None:
    @tool
    def refund(order: int) -> str:
        """Refund an order."""
        return f"refunded {order}"

    model = _AgentModel(scripted)
    agent = create_agent(model, [refund], name="support")
    given = {"messages": [("user", "refund 7")]}
    if is_async:
        asyncio.run(agent.ainvoke(given))
    else:
        agent.invoke(given)
    assert tree(traced) == [
        (
            "invoke_agent support",
            [
                ("node model", [CALL]),
                ("node tools", ["execute_tool refund"]),
                ("node model", [CALL]),
            ],
        )
    ]
    said = traced.named("invoke_agent support").attributes
    assert said["gen_ai.operation.name"] == "invoke_agent"
    assert said["gen_ai.agent.name"] == "support"
    said = traced.named("execute_tool refund").attributes
    assert said["gen_ai.operation.name"] == "execute_tool"
    assert said["gen_ai.tool.name"] == "refund"
    assert said["gen_ai.tool.description"] == "Refund an order."
    assert said["gen_ai.tool.call.id"] == "c1"
    assert said["gen_ai.tool.call.arguments"] == '{"order": 7}'
    assert said["gen_ai.tool.call.result"] == "refunded 7"
    assert said["graph.node.id"] == "tools"


def _AgentModel(scripted: Any) -> Any:  # noqa: N802 - reads as the class it makes
    """Return a model that calls `refund` once, then answers; it takes any tools."""
    calls = [{"id": "c1", "name": "refund", "args": {"order": 7}}]
    model = scripted(AIMessage("", tool_calls=calls), AIMessage("Done"))
    kind = type("AgentModel", (type(model),), {"bind_tools": lambda self, *_, **__: self})
    return kind(answers=model.answers)


def test_tool_that_raises_is_an_error(traced: Any) -> None:
    @tool
    def refund(order: int) -> str:
        """Refund an order."""
        raise ValueError("no such order")

    with pytest.raises(ValueError, match="no such order"):
        refund.invoke({"order": 7})
    assert traced.one().attributes["error.type"] == "ValueError"


def test_tool_error_made_an_answer_is_still_an_error(traced: Any) -> None:
    @tool
    def refund(order: int) -> str:
        """Refund an order."""
        raise ToolException("no such order")

    refund.handle_tool_error = True
    call = {"name": "refund", "args": {"order": 7}, "id": "c1", "type": "tool_call"}
    assert refund.invoke(call).status == "error"
    span = traced.one()
    assert span.attributes["error.type"] == "tool_error"
    assert span.status.description == "no such order"
    assert span.attributes["gen_ai.tool.call.id"] == "c1"


def test_tool_arguments_are_content(record: Any) -> None:
    recorded = record(langchain=True, capture_content=False)

    @tool
    def refund(order: str) -> str:
        """Refund an order."""
        return order

    refund.invoke({"order": "secret"})
    assert "secret" not in str(dict(recorded.one().attributes))
