"""ChatOpenAI over an instrumented client: one LLM span a call, told by the client's patch."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI, OpenAI
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from pydantic import BaseModel

CALL = "chat gpt-4o-mini"


@pytest.fixture
def chat_openai(wire: Any) -> Callable[..., ChatOpenAI]:
    """Return a function that makes a ChatOpenAI whose provider is the wire."""

    def make(kind: Any = ChatOpenAI, **fields: Any) -> Any:
        transport = wire.http.MockTransport(wire)
        given = {"model": "gpt-4o-mini", "api_key": "key", "max_retries": 0, **fields}
        return kind(
            http_client=wire.http.Client(transport=transport),
            http_async_client=wire.http.AsyncClient(transport=transport),
            **given,
        )

    return make


async def _collect(stream: Any) -> list[Any]:
    return [chunk async for chunk in stream]


WAYS: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda model: model.invoke("hi"),
    "ainvoke": lambda model: asyncio.run(model.ainvoke("hi")),
    "batch": lambda model: model.batch(["hi"]),
    "abatch": lambda model: asyncio.run(model.abatch(["hi"])),
    "stream": lambda model: list(model.stream("hi")),
    "astream": lambda model: asyncio.run(_collect(model.astream("hi"))),
    "astream_events": lambda model: asyncio.run(_collect(model.astream_events("hi", version="v2"))),
}


def _answer(wire: Any, samples: Any, way: str) -> None:
    if "stream" in way:
        wire.streams(samples.stream())
    else:
        wire.says(samples.chat())


@pytest.mark.parametrize("way", WAYS)
def test_one_llm_span_told_by_the_client(
    traced: Any, tree: Any, wire: Any, samples: Any, chat_openai: Any, way: str
) -> None:
    _answer(wire, samples, way)
    WAYS[way](RunnableLambda(lambda x: x) | chat_openai())
    assert tree(traced) == [("invoke_workflow RunnableSequence", [CALL])]
    said = traced.named(CALL).attributes
    assert said["llm.token_count.prompt"] == 20
    assert said["openai.api.type"] == "chat_completions"
    assert said["langchain.run.name"] == "ChatOpenAI"
    root = traced.named("invoke_workflow RunnableSequence").attributes
    assert not [name for name in root if "token" in name or "usage" in name]


def test_route_and_node_of_the_config_are_on_the_client_s_span(
    traced: Any, wire: Any, samples: Any, chat_openai: Any
) -> None:
    wire.says(samples.chat())
    config = {"metadata": {"route": "refunds", "thread_id": "t1"}, "tags": ["cohort:vip"]}
    chat_openai().invoke("hi", config=config)
    said = traced.named(CALL).attributes
    assert said["tollway.route"] == "refunds"
    assert said["tollway.cohort"] == "vip"
    assert said["gen_ai.conversation.id"] == said["session.id"] == "t1"


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream"])
def test_error_of_the_provider_is_told_once(
    traced: Any, tree: Any, wire: Any, chat_openai: Any, way: str
) -> None:
    wire.says({"error": {"message": "no quota", "type": "insufficient_quota"}}, status=429)
    with pytest.raises(Exception, match="no quota"):
        WAYS[way](chat_openai())
    assert tree(traced) == [CALL]
    assert traced.one().attributes["error.type"] == "RateLimitError"


def test_structured_output_is_one_call(
    traced: Any, tree: Any, wire: Any, samples: Any, chat_openai: Any
) -> None:
    class Answer(BaseModel):
        text: str

    body = samples.chat()
    body["choices"][0]["message"]["content"] = '{"text": "ok"}'
    wire.says(body)
    answer = chat_openai().with_structured_output(Answer, method="json_schema").invoke("hi")
    assert answer == Answer(text="ok")
    assert tree(traced) == [("invoke_workflow RunnableSequence", [CALL])]


def test_subclass_of_the_app_counts_as_well(
    traced: Any, tree: Any, wire: Any, samples: Any, chat_openai: Any
) -> None:
    class HouseModel(ChatOpenAI):
        @property
        def _llm_type(self) -> str:
            return "house"

    wire.says(samples.chat())
    chat_openai(HouseModel).invoke("hi")
    assert tree(traced) == [CALL]
    assert traced.one().attributes["openai.api.type"] == "chat_completions"


def test_v3_stream_events_are_one_call(
    traced: Any, tree: Any, wire: Any, samples: Any, chat_openai: Any
) -> None:
    wire.streams(samples.stream())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # langchain-core: this API is in beta
        events = list(chat_openai().stream_events("hi", version="v3"))
    assert events
    assert tree(traced) == [CALL]
    assert traced.one().attributes["openai.api.type"] == "chat_completions"
    assert traced.one().attributes["llm.token_count.prompt"] == 20


@pytest.mark.parametrize("way", ["invoke", "stream", "v3"])
def test_raw_call_afterwards_runs_in_the_context_that_is_not_sampled(
    record: Any, wire: Any, samples: Any, chat_openai: Any, ask: Any, way: str
) -> None:
    """What a chat model leaves behind in its caller's context takes no short way away."""
    seen = []

    def answer(request: Any) -> Any:
        seen.append(trace.get_current_span().get_span_context())
        return wire.http.Response(200, json=samples.chat())

    spans = record(langchain=True, sampler=ParentBased(ALWAYS_OFF))
    if way == "invoke":
        wire.says(samples.chat())
    else:
        wire.streams(samples.stream())
    wire.answers.append(answer)
    with spans.provider.get_tracer("app").start_as_current_span("request") as root:
        if way == "v3":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # langchain-core: this API is in beta
                assert list(chat_openai().stream_events("hi", version="v3"))
        else:
            WAYS[way](chat_openai())
        ask(wire.client())
    assert seen == [root.get_span_context()]


def test_async_v3_stream_events_are_one_call(
    traced: Any, tree: Any, wire: Any, samples: Any, chat_openai: Any, ask: Any
) -> None:
    wire.streams(samples.stream()).says(samples.chat())
    client = wire.async_client()

    async def consume() -> None:
        events = await chat_openai().astream_events("hi", version="v3")
        assert [event async for event in events]
        await ask(client)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # langchain-core: this API is in beta
        asyncio.run(consume())
    assert tree(traced) == [CALL, CALL]
    streamed, raw = traced.all()
    assert streamed.attributes["langchain.run.name"] == "ChatOpenAI"
    assert "langchain.run.name" not in raw.attributes


def test_model_around_a_raw_client_carries_no_usage_of_its_own(
    traced: Any, tree: Any, wire: Any, samples: Any, scripted: Any, ask: Any
) -> None:
    wire.says(samples.chat())
    client = wire.client()
    scripted(during=lambda: ask(client)).invoke("hi")
    assert tree(traced) == [("chat claude-test", [CALL])]
    assert "llm.token_count.prompt" not in traced.named("chat claude-test").attributes
    assert traced.named(CALL).attributes["llm.token_count.prompt"] == 20


def test_embeddings_inside_a_model_do_not_take_its_usage(
    traced: Any, wire: Any, scripted: Any
) -> None:
    wire.says(
        {
            "object": "list",
            "model": "text-embedding-3-small",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
            "usage": {"prompt_tokens": 2, "total_tokens": 2},
        }
    )
    client = wire.client()
    model = scripted(
        during=lambda: client.embeddings.create(model="text-embedding-3-small", input="x")
    )
    model.invoke("hi")
    assert traced.named("chat claude-test").attributes["llm.token_count.total"] == 13


def test_raw_call_between_the_chunks_of_a_stream_is_its_own(
    traced: Any, tree: Any, wire: Any, samples: Any, streaming: Any, ask: Any
) -> None:
    wire.says(samples.chat())
    client = wire.client()
    for _ in streaming().stream("hi"):
        if not wire.requests:
            ask(client)
    assert sorted(tree(traced)) == ["chat claude-test", CALL]
    assert traced.named("chat claude-test").attributes["llm.token_count.total"] == 13


def test_langchain_s_cache_makes_no_second_priced_call(
    traced: Any, wire: Any, samples: Any, chat_openai: Any
) -> None:
    wire.says(samples.chat())
    model = chat_openai(cache=InMemoryCache())
    model.invoke("hi")
    model.invoke("hi")
    assert len(wire.requests) == 1
    first, second = traced.all()
    assert first.attributes["llm.token_count.prompt"] == 20
    assert second.attributes["langchain.cache_hit"] is True
    assert "llm.token_count.prompt" not in second.attributes


def test_openai_integration_off_the_callback_tells_the_call(
    record: Any, wire: Any, samples: Any, chat_openai: Any
) -> None:
    recorded = record(langchain=True, openai=False)
    wire.says(samples.chat())
    chat_openai().invoke("hi")
    said = recorded.one().attributes
    assert recorded.one().name == CALL
    assert said["gen_ai.provider.name"] == "openai"
    assert said["llm.token_count.prompt"] == 20
    assert said["gen_ai.usage.cache_read.input_tokens"] == 12
    assert "openai.api.type" not in said


def test_plain_openai_llm_answers_many_prompts_with_one_call(
    traced: Any, wire: Any, chat_openai: Any
) -> None:
    choice = {"index": 0, "text": "Hello", "finish_reason": "stop", "logprobs": None}
    wire.says(
        {
            "id": "cmpl-1",
            "object": "text_completion",
            "created": 1,
            "model": "gpt-3.5-turbo-instruct",
            "choices": [choice, {**choice, "index": 1}],
            "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6},
        }
    )
    model = chat_openai(OpenAI, model="gpt-3.5-turbo-instruct")
    assert model.batch(["one", "two"]) == ["Hello", "Hello"]
    assert len(wire.requests) == 1
    counted = [s for s in traced.all() if "llm.token_count.prompt" in s.attributes]
    assert [span.attributes["llm.token_count.prompt"] for span in counted] == [4]


def test_explicit_config_in_a_bare_thread_keeps_the_parent(
    traced: Any, tree: Any, wire: Any, samples: Any, chat_openai: Any
) -> None:
    wire.says(samples.chat())
    model = chat_openai()

    def step(_: Any, config: Any) -> None:
        thread = threading.Thread(target=model.invoke, args=("hi", config))
        thread.start()
        thread.join()

    RunnableLambda(step).invoke("x")
    assert tree(traced) == [("invoke_workflow step", [CALL])]
