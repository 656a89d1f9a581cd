"""`with_fallbacks` is visible: how many were needed, and which calls they made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.runnables import Runnable, RunnableLambda

FAILED, WON = "chat first", "chat second"
INDEX, COUNT = "tollway.fallback.index", "tollway.fallback.count"


async def _collect(stream: Any) -> list[Any]:
    return [chunk async for chunk in stream]


WAYS: dict[str, Callable[[Runnable[Any, Any]], Any]] = {
    "invoke": lambda chain: chain.invoke("x"),
    "ainvoke": lambda chain: asyncio.run(chain.ainvoke("x")),
    "stream": lambda chain: list(chain.stream("x")),
    "astream": lambda chain: asyncio.run(_collect(chain.astream("x"))),
    "batch": lambda chain: chain.batch(["x"]),
    "abatch": lambda chain: asyncio.run(chain.abatch(["x"])),
}


@pytest.fixture
def fallback(streaming: Any) -> Runnable[Any, Any]:
    """Return a model that fails, with one that answers behind it."""
    broken = streaming(TimeoutError("busy"), model="first", answers=[TimeoutError("busy")])
    return broken.with_fallbacks([streaming(model="second")])  # type: ignore[no-any-return]  # untyped there


@pytest.mark.parametrize("way", WAYS)
def test_count_is_on_the_parent_and_index_on_the_calls(
    traced: Any, tree: Any, fallback: Any, way: str
) -> None:
    WAYS[way](fallback)
    assert tree(traced) == [("invoke_workflow RunnableWithFallbacks", [FAILED, WON])]
    root = traced.named("invoke_workflow RunnableWithFallbacks")
    assert root.attributes[COUNT] == 1
    assert root.status.is_unset
    failed, won = traced.named(FAILED).attributes, traced.named(WON).attributes
    assert failed["error.type"] == "TimeoutError"
    assert INDEX not in failed
    assert (won[INDEX], won["tollway.fallback"]) == (1, True)


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_count_is_on_the_nearest_span_shown(
    traced: Any, tree: Any, fallback: Any, way: str
) -> None:
    WAYS[way](RunnableLambda(lambda x: x) | fallback)
    assert tree(traced) == [("invoke_workflow RunnableSequence", [FAILED, WON])]
    assert traced.named("invoke_workflow RunnableSequence").attributes[COUNT] == 1


@pytest.mark.parametrize("way", WAYS)
def test_all_shows_the_attempts_under_the_fallback(
    traced_all: Any, tree: Any, fallback: Any, way: str
) -> None:
    WAYS[way](RunnableLambda(lambda x: x) | fallback)
    [(_, steps)] = tree(traced_all)
    assert ("chain RunnableWithFallbacks", [FAILED, WON]) in steps
    assert traced_all.named("chain RunnableWithFallbacks").attributes[COUNT] == 1


@pytest.mark.parametrize("is_async", [False, True])
def test_each_input_of_a_batch_counts_on_the_span_above_it(
    traced: Any, tree: Any, fallback: Any, is_async: bool
) -> None:
    chain = fallback | RunnableLambda(lambda x: x)

    def step(value: Any) -> Any:
        return chain.batch([value, value, value])

    async def astep(value: Any) -> Any:
        return await chain.abatch([value, value, value])

    if is_async:
        asyncio.run(RunnableLambda(astep).ainvoke("x"))
    else:
        RunnableLambda(step).invoke("x")
    [root] = [span for span in traced.all() if span.name.startswith("invoke_workflow")]
    assert root.attributes[COUNT] == 3
    assert tree(traced) == [(root.name, [FAILED] * 3 + [WON] * 3)]


def test_no_fallback_needed_is_none_told(traced: Any, streaming: Any) -> None:
    streaming(model="first").with_fallbacks([streaming(model="second")]).invoke("x")
    for span in traced.all():
        assert not [name for name in span.attributes if "fallback" in name]


def test_third_choice_has_index_two(traced: Any, scripted: Any) -> None:
    models = [scripted(TimeoutError("busy"), model=name) for name in ("a", "b")]
    models[0].with_fallbacks([models[1], scripted(model="c")]).invoke("x")
    assert traced.named("chat c").attributes[INDEX] == 2
    assert traced.named("invoke_workflow RunnableWithFallbacks").attributes[COUNT] == 2


def test_call_after_a_fallback_is_none_itself(traced: Any, fallback: Any, scripted: Any) -> None:
    (fallback | RunnableLambda(lambda _: "x") | scripted(model="third")).invoke("x")
    assert INDEX not in traced.named("chat third").attributes
    assert traced.named("invoke_workflow RunnableSequence").attributes[COUNT] == 1


def test_all_failing_is_the_first_error(traced: Any, scripted: Any) -> None:
    models = [scripted(TimeoutError(name), model=name) for name in ("a", "b")]
    with pytest.raises(TimeoutError, match="a"):
        models[0].with_fallbacks([models[1]]).invoke("x")
    root = traced.named("invoke_workflow RunnableWithFallbacks")
    assert root.attributes["error.type"] == "TimeoutError"
    assert root.attributes[COUNT] == 1


def test_fallback_of_an_instrumented_client(
    traced: Any, wire: Any, samples: Any, scripted: Any
) -> None:
    from langchain_openai import ChatOpenAI

    wire.says(samples.chat())
    http_client = wire.http.Client(transport=wire.http.MockTransport(wire))
    second = ChatOpenAI(model="gpt-4o-mini", api_key="key", http_client=http_client)
    scripted(TimeoutError("busy"), model="first").with_fallbacks([second]).invoke("x")
    said = traced.named("chat gpt-4o-mini").attributes
    assert (said[INDEX], said["tollway.fallback"]) == (1, True)
    assert said["llm.token_count.prompt"] == 20
