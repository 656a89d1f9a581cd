"""Streams and calls that end otherwise than at their end: closed, dropped, cancelled, broken."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph

CALL = "chat claude-test"
OUTCOME = "tollway.stream.outcome"


def _is_fine(span: Any) -> bool:
    return bool(span.status.is_unset) and "error.type" not in span.attributes and not span.events


async def _until(is_true: Callable[[], object]) -> None:
    """Give the loop its turns: it closes a dropped generator in its own time."""
    async with asyncio.timeout(5):
        while not is_true():  # noqa: ASYNC110 - nothing tells us of it
            await asyncio.sleep(0)


def test_closed_early_is_no_error_and_keeps_what_came(traced: Any, streaming: Any) -> None:
    usage = {"input_tokens": 10, "output_tokens": 1, "total_tokens": 11}
    stream = streaming(AIMessageChunk("Hel", usage_metadata=usage), "lo").stream("hi")
    assert next(stream).content == "Hel"
    stream.close()
    span = traced.one()
    assert _is_fine(span)
    assert span.attributes[OUTCOME] == "closed_early"
    assert span.attributes["llm.token_count.total"] == 11
    assert '"content": "Hel"' in span.attributes["gen_ai.output.messages"]
    assert "lo" not in span.attributes["gen_ai.output.messages"]


@pytest.mark.parametrize("how", ["break", "drop"])
def test_chain_s_stream_broken_off(traced: Any, tree: Any, streaming: Any, how: str) -> None:
    chain = RunnableLambda(lambda x: x) | streaming("a", "b", "c")
    if how == "break":
        for _ in chain.stream("x"):
            break
    else:
        stream = chain.stream("x")
        next(stream)
        del stream
    gc.collect()
    assert tree(traced) == [("invoke_workflow RunnableSequence", [CALL])]
    assert all(_is_fine(span) for span in traced.all())


def test_async_stream_broken_off(traced: Any, tree: Any, streaming: Any) -> None:
    async def consume() -> None:
        chain = RunnableLambda(lambda x: x) | streaming("a", "b", "c")
        stream = chain.astream("x")
        async for _ in stream:
            break
        await stream.aclose()

    asyncio.run(consume())
    assert tree(traced) == [("invoke_workflow RunnableSequence", [CALL])]
    assert all(_is_fine(span) for span in traced.all())


def test_async_stream_dropped_is_closed_by_the_loop(traced: Any, streaming: Any) -> None:
    async def consume() -> None:
        stream = streaming("a", "b", "c").astream("x")
        await anext(stream)
        del stream
        await _until(traced.all)

    asyncio.run(consume())
    assert _is_fine(traced.one())


def test_never_iterated_makes_no_span(traced: Any, streaming: Any) -> None:
    streaming().stream("hi")
    streaming().astream("hi")
    gc.collect()
    assert traced.all() == ()


def test_error_in_the_middle_keeps_what_came(traced: Any, streaming: Any) -> None:
    stream = streaming("Hel", ConnectionError("reset")).stream("hi")
    assert next(stream).content == "Hel"
    with pytest.raises(ConnectionError, match="reset"):
        next(stream)
    span = traced.one()
    assert span.attributes["error.type"] == "ConnectionError"
    assert OUTCOME not in span.attributes
    assert '"content": "Hel"' in span.attributes["gen_ai.output.messages"]


def _graph(node: Any) -> Any:
    graph = StateGraph(dict)
    graph.add_node("one", node)
    graph.add_node("two", lambda _: {"b": 1})
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    graph.add_edge("two", END)
    return graph.compile()


def test_graph_s_stream_closed_early(traced: Any, tree: Any) -> None:
    stream = _graph(lambda _: {"a": 1}).stream({})
    next(stream)
    stream.close()
    assert tree(traced) == [("invoke_workflow LangGraph", ["node one"])]
    assert all(_is_fine(span) for span in traced.all())
    assert all(_is_fine(span) for span in traced.all())


async def _cancel_once_waiting(running: Any, waiting: asyncio.Event) -> None:
    job = asyncio.ensure_future(running)
    await waiting.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job


def test_cancelled_model_call_is_told(traced: Any, scripted: Any) -> None:
    async def cancel() -> None:
        waiting = asyncio.Event()

        async def hang(*_: Any, **__: Any) -> Any:
            waiting.set()
            await asyncio.Event().wait()

        model = type("Hanging", (type(scripted()),), {"_agenerate": hang})()
        await _cancel_once_waiting(model.ainvoke("hi"), waiting)

    asyncio.run(cancel())
    assert traced.one().attributes["error.type"] == "CancelledError"


def test_cancelled_stream_is_the_app_s_choice(traced: Any, streaming: Any) -> None:
    async def cancel() -> None:
        waiting = asyncio.Event()

        async def consume() -> None:
            async for _ in streaming("a", "b").astream("hi"):
                waiting.set()
                await asyncio.Event().wait()

        await _cancel_once_waiting(consume(), waiting)
        gc.collect()
        await _until(traced.all)

    asyncio.run(cancel())
    assert _is_fine(traced.one())


def test_cancelled_tool_is_told(traced: Any) -> None:
    async def cancel() -> None:
        waiting = asyncio.Event()

        @tool
        async def slow(order: int) -> str:
            """Look an order up."""
            waiting.set()
            await asyncio.Event().wait()
            return "never"

        await _cancel_once_waiting(slow.ainvoke({"order": 1}), waiting)

    asyncio.run(cancel())
    span = traced.one()
    assert span.name == "execute_tool slow"
    assert span.attributes[OUTCOME] == "cancelled"
    assert _is_fine(span)


def test_cancelled_graph_is_told(traced: Any, tree: Any) -> None:
    async def cancel() -> None:
        waiting = asyncio.Event()

        async def hang(_: Any) -> Any:
            waiting.set()
            await asyncio.Event().wait()

        await _cancel_once_waiting(_graph(hang).ainvoke({}), waiting)

    asyncio.run(cancel())
    assert tree(traced) == [("invoke_workflow LangGraph", ["node one"])]
    assert all(_is_fine(span) for span in traced.all())
