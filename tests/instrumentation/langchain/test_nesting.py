"""What runs inside a run nests under it: raw client calls, spans of the app, in every kind of run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from opentelemetry import trace

RAW = "chat gpt-4o-mini"


@pytest.fixture
def raw(wire: Any, samples: Any, ask: Any) -> Callable[..., str]:
    """Return a function that makes a raw call of the OpenAI client."""
    wire.says(samples.chat())
    client = wire.client()
    return lambda *_: str(ask(client).choices[0].message.content)


@pytest.fixture
def araw(wire: Any, samples: Any, ask: Any) -> Callable[..., Any]:
    """Return a coroutine function that makes a raw call of the async OpenAI client."""
    wire.says(samples.chat())
    client = wire.async_client()

    async def call(*_: Any) -> str:
        return str((await ask(client)).choices[0].message.content)

    return call


class Retriever(BaseRetriever):
    during: Any

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        self.during()
        return [Document("Refunds take a week", metadata={"page": 3})]


def test_raw_call_in_a_lambda(traced: Any, tree: Any, raw: Any) -> None:
    assert RunnableLambda(raw, name="answer").invoke("x") == "Hello"
    assert tree(traced) == [("invoke_workflow answer", [RAW])]


def test_raw_call_in_an_async_lambda(traced: Any, tree: Any, araw: Any) -> None:
    assert asyncio.run(RunnableLambda(araw, name="answer").ainvoke("x")) == "Hello"
    assert tree(traced) == [("invoke_workflow answer", [RAW])]


def test_sync_lambda_called_async_runs_in_a_thread(traced: Any, tree: Any, raw: Any) -> None:
    asyncio.run(RunnableLambda(raw, name="answer").ainvoke("x"))
    assert tree(traced) == [("invoke_workflow answer", [RAW])]


def test_raw_call_in_a_tool(traced: Any, tree: Any, raw: Any) -> None:
    @tool
    def lookup(order: int) -> str:
        """Look an order up."""
        return str(raw())

    lookup.invoke({"order": 7})
    assert tree(traced) == [("execute_tool lookup", [RAW])]


def test_raw_call_in_an_async_tool(traced: Any, tree: Any, araw: Any) -> None:
    @tool
    async def lookup(order: int) -> str:
        """Look an order up."""
        return str(await araw())

    asyncio.run(lookup.ainvoke({"order": 7}))
    assert tree(traced) == [("execute_tool lookup", [RAW])]


@pytest.mark.parametrize("is_async", [False, True])
def test_raw_call_in_a_retriever(traced: Any, tree: Any, raw: Any, is_async: bool) -> None:
    retriever = Retriever(during=raw)
    found = asyncio.run(retriever.ainvoke("refunds")) if is_async else retriever.invoke("refunds")
    assert found[0].page_content == "Refunds take a week"
    assert tree(traced) == [("retrieval Retriever", [RAW])]
    said = traced.named("retrieval Retriever").attributes
    assert said["gen_ai.operation.name"] == "retrieval"
    assert said["gen_ai.retrieval.query.text"] == "refunds"
    assert '"content": "Refunds take a week"' in said["gen_ai.retrieval.documents"]


def test_span_of_the_app_in_a_chat_model(traced: Any, tree: Any, scripted: Any) -> None:
    def request() -> None:
        with trace.get_tracer("http", tracer_provider=traced.provider).start_as_current_span(
            "POST"
        ):
            return

    scripted(during=request).invoke("hi")
    assert tree(traced) == [("chat claude-test", ["POST"])]


@pytest.mark.parametrize("is_async", [False, True])
def test_span_of_the_app_in_a_streamed_chat_model(
    traced: Any, tree: Any, streaming: Any, is_async: bool
) -> None:
    def request() -> None:
        with trace.get_tracer("http", tracer_provider=traced.provider).start_as_current_span(
            "POST"
        ):
            return

    model = streaming(during=request)
    if is_async:

        async def consume() -> None:
            async for _ in model.astream("hi"):
                with traced.provider.get_tracer("app").start_as_current_span("between"):
                    pass

        asyncio.run(consume())
    else:
        for _ in model.stream("hi"):
            with traced.provider.get_tracer("app").start_as_current_span("between"):
                pass
    [first, *others] = sorted(tree(traced), key=str)
    assert first == ("chat claude-test", ["POST"])
    assert set(others) == {"between"}


def test_span_of_the_app_between_two_runs_is_their_parent(
    traced_all: Any, tree: Any, scripted: Any
) -> None:
    tracer = traced_all.provider.get_tracer("app")
    model = scripted()

    def step(value: str) -> Any:
        with tracer.start_as_current_span("business"):
            return model.invoke(value)

    RunnableLambda(step).invoke("x")
    assert tree(traced_all) == [
        ("invoke_workflow step", [("business", ["chat claude-test"])]),
    ]


def test_hidden_run_in_between_does_not_lose_the_app_s_span(
    traced: Any, tree: Any, scripted: Any, app_span: Any
) -> None:
    model = scripted()

    def inner(value: str) -> Any:
        with app_span("business"):
            return model.invoke(value)

    (RunnableLambda(lambda x: x) | RunnableLambda(inner)).invoke("x")
    assert tree(traced) == [
        ("invoke_workflow RunnableSequence", [("business", ["chat claude-test"])])
    ]


def test_threads_that_copy_the_context_nest(traced: Any, tree: Any, raw: Any) -> None:
    def step(_: Any) -> list[str]:
        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(copy_context().run, raw) for _ in range(4)]
            return [job.result() for job in jobs]

    RunnableLambda(step).invoke("x")
    assert tree(traced) == [("invoke_workflow step", [RAW] * 4)]


def test_concurrent_requests_keep_apart(traced: Any, tree: Any, araw: Any, scripted: Any) -> None:
    chain = RunnableLambda(araw) | scripted()

    async def serve() -> None:
        await asyncio.gather(*(chain.ainvoke(str(number)) for number in range(10)))

    asyncio.run(serve())
    root = ("invoke_workflow RunnableSequence", [RAW, "chat claude-test"])
    assert tree(traced) == [root] * 10


def test_nothing_stays_current_after_a_run(traced: Any, streaming: Any) -> None:
    streaming().invoke("hi")
    assert not trace.get_current_span().get_span_context().is_valid
    stream = streaming().stream("hi")
    next(stream)
    assert not trace.get_current_span().get_span_context().is_valid
    stream.close()


def test_run_started_where_the_config_was_dropped_nests_by_context(
    traced: Any, tree: Any, scripted: Any
) -> None:
    model = scripted()
    RunnableLambda(lambda x: model.invoke(x, config={"callbacks": []}), name="step").invoke("x")
    assert tree(traced) == [("invoke_workflow step", ["chat claude-test"])]
