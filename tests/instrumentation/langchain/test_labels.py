"""Labels that a RunnableConfig sets: like the context manager, for the run and all under it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from opentelemetry import baggage

import tollway

ROUTE, COHORT, VARIANT = "tollway.route", "tollway.cohort", "tollway.variant"

METADATA = {"route": "refunds", "cohort": "closure", "variant": "student"}
TAGS = ["route:refunds", "cohort:closure", "variant:student"]


def _labels(span: Any) -> tuple[Any, Any, Any]:
    return tuple(span.attributes.get(name) for name in (ROUTE, COHORT, VARIANT))  # type: ignore[return-value]  # three names


@pytest.mark.parametrize(
    "config", [{"metadata": METADATA}, {"tags": TAGS}], ids=["metadata", "tags"]
)
@pytest.mark.parametrize("is_async", [False, True])
def test_config_labels_the_run_and_all_under_it(
    traced: Any, scripted: Any, wire: Any, samples: Any, ask: Any, config: Any, is_async: bool
) -> None:
    wire.says(samples.chat())
    client = wire.client()
    carried: list[Any] = []

    def step(value: Any) -> Any:
        carried.append(baggage.get_baggage(ROUTE))
        with traced.provider.get_tracer("app").start_as_current_span("inside"):
            ask(client)
            return value

    chain = RunnableLambda(step) | scripted()
    if is_async:
        asyncio.run(chain.ainvoke("x", config))
    else:
        chain.invoke("x", config)
    assert len(traced.all()) == 4
    assert {_labels(span) for span in traced.all()} == {("refunds", "closure", "student")}
    assert carried == ["refunds"]
    assert baggage.get_baggage(ROUTE) is None


def test_hidden_chain_passes_its_labels_on(traced: Any, scripted: Any, app_span: Any) -> None:
    with app_span("request"):
        (RunnableLambda(lambda x: x) | scripted()).invoke("x", {"metadata": METADATA})
    assert _labels(traced.named("chat claude-test")) == ("refunds", "closure", "student")
    assert _labels(traced.named("request")) == (None, None, None)


def test_config_wins_over_the_context_manager_around_it(traced: Any, scripted: Any) -> None:
    with tollway.route("search", cohort="all"):
        scripted().invoke("x", {"metadata": {"route": "refunds"}})
    assert _labels(traced.one()) == ("refunds", "all", None)


def test_context_manager_inside_a_run_wins_over_inherited_metadata(
    traced: Any, scripted: Any
) -> None:
    model = scripted()

    def step(value: Any) -> Any:
        with tollway.route("search"):
            return model.invoke(value)

    RunnableLambda(step).invoke("x", {"metadata": METADATA})
    assert _labels(traced.named("chat claude-test"))[0] == "search"
    assert _labels(traced.named("invoke_workflow step"))[0] == "refunds"


def test_inner_config_labels_only_what_is_under_it(traced: Any, scripted: Any) -> None:
    model = scripted()
    chain = (
        RunnableLambda(lambda x: x)
        | model.with_config(metadata={"variant": "student"})
        | RunnableLambda(lambda _: "x")
        | scripted(model="second")
    )
    chain.invoke("x", {"metadata": {"route": "refunds"}})
    assert _labels(traced.named("chat claude-test")) == ("refunds", None, "student")
    assert _labels(traced.named("chat second")) == ("refunds", None, None)


def test_each_input_of_a_batch_has_its_own_labels(traced: Any, scripted: Any) -> None:
    chain = RunnableLambda(lambda x: x) | scripted()
    chain.batch(["a", "b"], [{"metadata": {"route": "a"}}, {"metadata": {"route": "b"}}])
    routes = [_labels(span)[0] for span in traced.all()]
    assert sorted(routes) == ["a", "a", "b", "b"]


@pytest.mark.parametrize("where", ["metadata", "configurable"])
def test_session_thread_and_user_of_the_config(traced: Any, scripted: Any, where: str) -> None:
    named = {"session_id": "s1", "thread_id": "t1", "user_id": "u1"}
    (RunnableLambda(lambda x: x) | scripted()).invoke("x", {where: named})
    assert len(traced.all()) == 2
    for span in traced.all():
        assert span.attributes["session.id"] == "s1"
        assert span.attributes["gen_ai.conversation.id"] == "t1"
        assert span.attributes["user.id"] == "u1"


async def _drain(stream: Any) -> None:
    async for _ in stream:
        pass


BARE_CALLS: dict[str, Any] = {
    "invoke": lambda model, config: model.invoke("x", config),
    "config by name": lambda model, config: model.invoke("x", config=config),
    "ainvoke": lambda model, config: asyncio.run(model.ainvoke("x", config)),
    "stream": lambda model, config: list(model.stream("x", config)),
    "astream": lambda model, config: asyncio.run(_drain(model.astream("x", config))),
    "batch": lambda model, config: model.batch(["x"], config),
    "abatch": lambda model, config: asyncio.run(model.abatch(["x"], config)),
}


@pytest.mark.parametrize("way", BARE_CALLS)
def test_session_of_a_bare_model_s_config(traced: Any, streaming: Any, way: str) -> None:
    named = {"session_id": "s1", "thread_id": "t1", "user_id": "u1", "checkpoint_ns": ""}
    BARE_CALLS[way](streaming(), {"configurable": named})
    streaming(model="after").invoke("x")
    said = traced.named("chat claude-test").attributes
    names = ("session.id", "gen_ai.conversation.id", "user.id")
    assert tuple(said[name] for name in names) == ("s1", "t1", "u1")
    assert not set(names) & set(traced.named("chat after").attributes)


def test_session_of_a_bare_tool_s_and_retriever_s_config(traced: Any) -> None:
    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
            return [Document(query)]

    @tool
    def look(where: str) -> str:
        """Look somewhere."""
        return where

    config: Any = {"configurable": {"thread_id": "t1"}}
    look.invoke({"where": "there"}, config)
    Shelf().invoke("x", config)
    asyncio.run(Shelf().ainvoke("x", config=config))
    assert len(traced.all()) == 3
    assert {span.attributes["session.id"] for span in traced.all()} == {"t1"}


@pytest.mark.parametrize("value", [None, "", ["a"], {"a": 1}, object()])
def test_odd_labels_are_left_out(traced: Any, scripted: Any, value: Any) -> None:
    config = {"metadata": {"route": value}, "tags": ["route:", "cohort", ":x"]}
    scripted().invoke("x", config)
    assert _labels(traced.one()) == (None, None, None)
