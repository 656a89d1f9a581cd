"""Which runs get spans, and under which parents, in every way that a Runnable can be called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda, RunnableParallel

CALL = "chat claude-test"
DEFAULT = [("invoke_workflow RunnableSequence", [CALL, "inside"])]
ALL = [
    (
        "invoke_workflow RunnableSequence",
        [
            "chain ChatPromptTemplate",
            CALL,
            "chain StrOutputParser",
            ("chain step", ["inside"]),
        ],
    )
]

Way = Callable[[Runnable[Any, Any]], Any]


async def _collect(stream: AsyncIterator[Any]) -> list[Any]:
    return [chunk async for chunk in stream]


WAYS: dict[str, Way] = {
    "invoke": lambda chain: chain.invoke({"x": 1}),
    "ainvoke": lambda chain: asyncio.run(chain.ainvoke({"x": 1})),
    "stream": lambda chain: list(chain.stream({"x": 1})),
    "astream": lambda chain: asyncio.run(_collect(chain.astream({"x": 1}))),
    "astream_events": lambda chain: asyncio.run(
        _collect(chain.astream_events({"x": 1}, version="v2"))
    ),
    "batch": lambda chain: chain.batch([{"x": 1}]),
    "abatch": lambda chain: asyncio.run(chain.abatch([{"x": 1}])),
}


def _chain(recorded: Any, model: Any) -> Runnable[Any, Any]:
    tracer = recorded.provider.get_tracer("app")

    def step(value: Any) -> Any:
        with tracer.start_as_current_span("inside"):
            return value

    return (
        ChatPromptTemplate.from_template("hi {x}")
        | model
        | StrOutputParser()
        | RunnableLambda(step)
    )


@pytest.mark.parametrize("way", WAYS)
def test_default_shows_the_request_and_its_calls(
    traced: Any, tree: Any, streaming: Any, way: str
) -> None:
    WAYS[way](_chain(traced, streaming()))
    assert tree(traced) == DEFAULT


@pytest.mark.parametrize("way", WAYS)
def test_all_shows_the_plumbing_too(traced_all: Any, tree: Any, streaming: Any, way: str) -> None:
    WAYS[way](_chain(traced_all, streaming()))
    [(root, children)] = tree(traced_all)
    # A stream starts its steps from the last to the first, pulling.
    assert (root, sorted(children, key=str)) == (ALL[0][0], sorted(ALL[0][1], key=str))


def test_under_a_span_of_the_app_no_plumbing_is_shown(
    traced: Any, tree: Any, scripted: Any, app_span: Any
) -> None:
    with app_span("request"):
        _chain(traced, scripted()).invoke({"x": 1})
    assert tree(traced) == [("request", [CALL, "inside"])]


@pytest.mark.parametrize("way", ["batch", "abatch"])
def test_each_input_of_a_batch_is_a_trace(traced: Any, tree: Any, scripted: Any, way: str) -> None:
    chain = _chain(traced, scripted())
    inputs = [{"x": number} for number in range(5)]
    if way == "batch":
        chain.batch(inputs)
    else:
        asyncio.run(chain.abatch(inputs))
    assert tree(traced) == DEFAULT * 5


@pytest.mark.parametrize("is_async", [False, True])
def test_parallel_branches_nest_under_their_own_parents(
    traced_all: Any, tree: Any, scripted: Any, is_async: bool
) -> None:
    def branch(name: str) -> Runnable[Any, Any]:
        tracer = traced_all.provider.get_tracer("app")

        def step(value: Any) -> Any:
            with tracer.start_as_current_span(f"inside {name}"):
                return value

        return RunnableLambda(step, name=name) | scripted(model=name)

    both = RunnableParallel(left=branch("left"), right=branch("right"))
    if is_async:
        asyncio.run(both.ainvoke("x"))
    else:
        both.invoke("x")
    [(root, branches)] = tree(traced_all)
    assert root == "invoke_workflow RunnableParallel<left,right>"
    assert sorted(branches) == [
        ("chain RunnableSequence", [(f"chain {name}", [f"inside {name}"]), f"chat {name}"])
        for name in ("left", "right")
    ]


def test_prompt_and_parser_alone_make_no_trace(traced: Any) -> None:
    ChatPromptTemplate.from_template("hi {x}").invoke({"x": 1})
    StrOutputParser().invoke("text")
    assert traced.all() == ()


def test_run_name_names_the_span(traced: Any, tree: Any, scripted: Any) -> None:
    chain = RunnableLambda(lambda x: x) | scripted()
    chain.invoke("x", config={"run_name": "answer", "tags": ["beta"]})
    assert tree(traced) == [("invoke_workflow answer", [CALL])]
    assert traced.named("invoke_workflow answer").attributes["gen_ai.workflow.name"] == "answer"
    assert traced.named(CALL).attributes["tag.tags"] == ("beta",)


def test_error_of_a_step_marks_its_span_and_those_above(traced_all: Any) -> None:
    def broken(_: Any) -> Any:
        raise ValueError("no such customer")

    with pytest.raises(ValueError, match="no such customer"):
        (RunnableLambda(lambda x: x) | RunnableLambda(broken)).invoke("x")
    for name in ("chain broken", "invoke_workflow RunnableSequence"):
        span = traced_all.named(name)
        assert span.attributes["error.type"] == "ValueError"
        assert not span.status.is_ok
        assert [event.name for event in span.events] == ["exception"]
    assert traced_all.named("chain RunnableLambda").status.is_unset


def test_input_and_output_are_recorded_as_content(traced_all: Any, scripted: Any) -> None:
    chain = ChatPromptTemplate.from_template("hi {x}") | scripted()
    chain.invoke({"x": "you"})
    root = traced_all.named("invoke_workflow RunnableSequence").attributes
    assert root["input.value"] == '{"x": "you"}'
    assert '"role": "assistant"' in root["output.value"]
    prompt = traced_all.named("chain ChatPromptTemplate").attributes
    assert prompt["output.value"] == (
        '[{"role": "user", "parts": [{"type": "text", "content": "hi you"}]}]'
    )


def test_retry_numbers_the_attempts(traced: Any, scripted: Any) -> None:
    model = scripted(ValueError("busy"), ValueError("busy"), scripted().answers[0])
    model.with_retry(wait_exponential_jitter=False, stop_after_attempt=3).invoke("hi")
    calls = [span for span in traced.all() if span.name == CALL]
    assert [span.attributes.get("tollway.retry.attempt") for span in calls] == [None, 2, 3]
    assert [span.status.is_ok for span in calls] == [False, False, True]
    assert [span.attributes.get("error.type") for span in calls] == ["ValueError"] * 2 + [None]
    assert len({span.context.trace_id for span in calls}) == 1
