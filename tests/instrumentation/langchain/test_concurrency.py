"""Many runs at once, in tasks and threads: each tree is its own, and no context stays behind."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypedDict

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.config import ContextThreadPoolExecutor
from langgraph.graph import END, START, StateGraph
from opentelemetry import context as otel_context

import tollway

ROUTE, SESSION = "tollway.route", "session.id"
RAW = "chat gpt-4o-mini"


class State(TypedDict):
    x: str


def _trees(recorded: Any) -> list[tuple[Any, list[Any]]]:
    """Return each root with all that is below it."""
    spans = recorded.all()
    by_trace: dict[int, list[Any]] = {}
    for span in spans:
        by_trace.setdefault(span.context.trace_id, []).append(span)
    roots = [span for span in spans if span.parent is None]
    return [(root, [s for s in by_trace[root.context.trace_id] if s is not root]) for root in roots]


def test_graphs_in_many_tasks(
    traced: Any, scripted: Any, wire: Any, samples: Any, ask: Any
) -> None:
    wire.says(samples.chat())
    client, model = wire.async_client(), scripted()

    async def node(state: State) -> State:
        await ask(client, messages=[{"role": "user", "content": state["x"]}])
        await asyncio.sleep(0)
        with tollway.route("inner" + state["x"]):
            await model.ainvoke("y")
        return state

    graph: Any = StateGraph(State)
    graph.add_node("n", node)
    graph.add_edge(START, "n")
    graph.add_edge("n", END)
    app = graph.compile()

    async def run(number: int) -> None:
        config = {
            "metadata": {"route": f"r{number}"},
            "configurable": {"thread_id": f"t{number}"},
        }
        await app.ainvoke({"x": str(number)}, config)
        assert otel_context.get_current() == {}

    async def run_all() -> None:
        await asyncio.gather(*(run(number) for number in range(40)))

    asyncio.run(run_all())
    trees = _trees(traced)
    assert len(trees) == 40
    for root, below in trees:
        number = root.attributes[SESSION][1:]
        routes = {span.name: span.attributes[ROUTE] for span in (root, *below)}
        assert routes == {
            "invoke_workflow LangGraph": f"r{number}",
            "node n": f"r{number}",
            RAW: f"r{number}",
            "chat claude-test": f"inner{number}",
        }
        assert {span.attributes[SESSION] for span in below} == {f"t{number}"}
        [raw] = [span for span in below if span.name == RAW]
        assert f'"content": "{number}"' in raw.attributes["gen_ai.input.messages"]


def test_chains_in_many_threads(
    traced: Any, streaming: Any, wire: Any, samples: Any, ask: Any
) -> None:
    wire.says(samples.chat())
    client = wire.client()
    chain = RunnableLambda(lambda x: x) | streaming() | RunnableLambda(lambda _: ask(client).id)

    def run(number: int) -> None:
        config: Any = {"metadata": {"route": f"r{number}"}}
        ways = [
            lambda: chain.invoke("x", config),
            lambda: list(chain.stream("x", config)),
            lambda: chain.batch(["x"], config),
        ]
        ways[number % 3]()
        assert otel_context.get_current() == {}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(60)))
    trees = _trees(traced)
    assert sorted(root.attributes[ROUTE] for root, _ in trees) == sorted(
        f"r{number}" for number in range(60)
    )
    for root, below in trees:
        assert sorted(span.name for span in below) == ["chat claude-test", RAW]
        assert {span.attributes[ROUTE] for span in below} == {root.attributes[ROUTE]}


@pytest.mark.parametrize("is_copied", [True, False])
def test_pool_inside_a_run_nests_by_context_or_by_config(
    traced: Any, scripted: Any, is_copied: bool
) -> None:
    model = scripted()

    def step(value: Any, config: Any) -> Any:
        if is_copied:
            with ContextThreadPoolExecutor() as pool:
                return list(pool.map(model.invoke, [value, value]))
        with ThreadPoolExecutor() as pool:
            return list(pool.map(lambda _: model.invoke(value, config), range(2)))

    RunnableLambda(step).invoke("x")
    [(root, below)] = _trees(traced)
    assert [span.parent.span_id for span in below] == [root.context.span_id] * 2


def test_task_that_outlives_its_run_keeps_its_parent(traced: Any, tree: Any, scripted: Any) -> None:
    model, release = scripted(), asyncio.Event()
    late: list[Any] = []

    async def later() -> None:
        await release.wait()
        await model.ainvoke("x")

    async def step(value: Any) -> Any:
        late.append(asyncio.create_task(later()))
        return value

    async def run() -> None:
        await RunnableLambda(step).ainvoke("x")
        release.set()
        await late[0]

    asyncio.run(run())
    assert tree(traced) == [("invoke_workflow step", ["chat claude-test"])]


def test_stream_that_moves_between_tasks_leaves_no_context(
    traced: Any, tree: Any, streaming: Any, wire: Any, samples: Any, ask: Any
) -> None:
    wire.says(samples.chat())
    client = wire.async_client()
    stream = (RunnableLambda(lambda x: x) | streaming()).astream("x")

    async def run() -> None:
        await asyncio.create_task(anext(stream))  # type: ignore[arg-type]  # a coroutine here
        async for _ in stream:
            pass
        await ask(client)

    asyncio.run(run())
    assert tree(traced) == [("invoke_workflow RunnableSequence", ["chat claude-test"]), RAW]
