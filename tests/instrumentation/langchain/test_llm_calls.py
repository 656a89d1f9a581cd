"""What the callback tells of a model call, of providers that have no instrumented client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import SpanKind

CALL = "chat claude-test"


def test_request_says_provider_model_and_parameters(traced: Any, scripted: Any) -> None:
    scripted().invoke("hi", stop=["END"])
    span = traced.one()
    assert span.kind is SpanKind.CLIENT
    said = span.attributes
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == "anthropic"
    assert said["gen_ai.request.model"] == "claude-test"
    assert said["gen_ai.request.temperature"] == 0.5
    assert said["gen_ai.request.max_tokens"] == 64
    assert said["gen_ai.request.stop_sequences"] == ("END",)
    assert said["langchain.run.name"] == "ScriptedModel"


@pytest.mark.parametrize("is_wanted", [False, True])
def test_tools_offered_are_told_where_asked_for(
    record: Any, scripted: Any, is_wanted: bool
) -> None:
    recorded = record(langchain=True, capture_tool_definitions=is_wanted)
    function = {"name": "refund", "description": "Refund", "parameters": {"type": "object"}}
    plain = {"name": "mail", "input_schema": {"type": "object"}}
    scripted().invoke("hi", tools=[{"type": "function", "function": function}, plain])
    said = recorded.one().attributes.get("gen_ai.tool.definitions")
    assert said == (json.dumps([{"type": "function", **function}, plain]) if is_wanted else None)


def test_usage_is_told_inclusive_and_in_both_namings(traced: Any, scripted: Any) -> None:
    usage = {
        "input_tokens": 100,
        "output_tokens": 30,
        "total_tokens": 130,
        "input_token_details": {
            "cache_read": 40,
            "cache_creation": 0,
            "ephemeral_5m_input_tokens": 8,
            "ephemeral_1h_input_tokens": 2,
            "audio": 5,
        },
        "output_token_details": {"reasoning": 12},
    }
    scripted(AIMessage("Hello", usage_metadata=usage)).invoke("hi")
    said = traced.one().attributes
    assert said["gen_ai.usage.input_tokens"] == said["llm.token_count.prompt"] == 100
    assert said["gen_ai.usage.output_tokens"] == said["llm.token_count.completion"] == 30
    assert said["llm.token_count.total"] == 130
    assert said["gen_ai.usage.cache_read.input_tokens"] == 40
    assert said["llm.token_count.prompt_details.cache_read"] == 40
    assert said["gen_ai.usage.cache_creation.input_tokens"] == 10
    assert said["gen_ai.usage.audio.input_tokens"] == 5
    assert said["gen_ai.usage.reasoning.output_tokens"] == 12
    assert said["llm.token_count.completion_details.reasoning"] == 12


@pytest.mark.parametrize("tier", ["flex", "priority"])
def test_details_with_a_tier_in_their_names_are_not_lost(
    traced: Any, scripted: Any, tier: str
) -> None:
    usage = {
        "input_tokens": 120,
        "output_tokens": 40,
        "total_tokens": 160,
        "input_token_details": {f"{tier}_cache_read": 64, tier: 56},
        "output_token_details": {f"{tier}_reasoning": 20, tier: 20},
    }
    scripted(AIMessage("Hello", usage_metadata=usage)).invoke("hi")
    said = traced.one().attributes
    assert said["gen_ai.usage.cache_read.input_tokens"] == 64
    assert said["gen_ai.usage.reasoning.output_tokens"] == 20
    assert said["openai.response.service_tier"] == tier


@pytest.mark.parametrize("usage", [None, {"input_tokens": "9"}, {"input_tokens": -4}, {"x": None}])
def test_odd_usage_is_left_out(traced: Any, scripted: Any, usage: Any) -> None:
    answer = AIMessage("Hello")
    answer.usage_metadata = usage
    assert scripted(answer).invoke("hi").content == "Hello"
    assert not [
        name for name in traced.one().attributes if "usage" in name or "token_count" in name
    ]


def test_answer_says_model_id_finish_reason_and_tool_calls(traced: Any, scripted: Any) -> None:
    answer = AIMessage(
        "",
        id="msg_01",
        tool_calls=[
            {"id": "c1", "name": "refund", "args": {"order": 7}},
            {"id": "c2", "name": "mail", "args": {}},
        ],
        invalid_tool_calls=[{"id": "c3", "name": "mail", "args": "{broken", "error": "no JSON"}],
        response_metadata={"model": "claude-test-2026", "stop_reason": "tool_use"},
    )
    scripted(answer).invoke("hi")
    said = traced.one().attributes
    assert said["gen_ai.response.model"] == said["llm.model_name"] == "claude-test-2026"
    assert said["gen_ai.response.id"] == "msg_01"
    assert said["gen_ai.response.finish_reasons"] == ("tool_use",)
    assert said["llm.tool_call.count"] == 3
    assert said["llm.tool_call.names"] == ("refund", "mail", "mail")
    [message] = json.loads(said["gen_ai.output.messages"])
    assert message["finish_reason"] == "tool_call"
    assert message["parts"] == [
        {"type": "tool_call", "id": "c1", "name": "refund", "arguments": {"order": 7}},
        {"type": "tool_call", "id": "c2", "name": "mail", "arguments": {}},
        {"type": "tool_call", "id": "c3", "name": "mail", "arguments": "{broken"},
    ]


def test_messages_are_told_in_the_genai_form(traced: Any, scripted: Any) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 200}}
    scripted().invoke(
        [
            SystemMessage("Be brief"),
            HumanMessage([{"type": "text", "text": "look"}, image]),
            AIMessage("", tool_calls=[{"id": "c1", "name": "see", "args": {"a": 1}}]),
            ToolMessage("a cat", tool_call_id="c1"),
        ]
    )
    said = json.loads(traced.one().attributes["gen_ai.input.messages"])
    assert [message["role"] for message in said] == ["system", "user", "assistant", "tool"]
    text, picture = said[1]["parts"]
    assert text == {"type": "text", "content": "look"}
    assert (picture["type"], picture["modality"]) == ("uri", "image")
    assert (picture["uri"]["type"], picture["uri"]["size"]) == ("image/png", 600)
    assert len(picture["uri"]["sha256"]) == 64
    assert said[2]["parts"][0]["arguments"] == {"a": 1}
    assert said[3]["parts"] == [{"type": "tool_call_response", "id": "c1", "response": "a cat"}]


def test_without_content_only_counts_and_names_are_told(record: Any, scripted: Any) -> None:
    recorded = record(langchain="all", capture_content=False)
    answer = AIMessage(
        "secret", tool_calls=[{"id": "c1", "name": "refund", "args": {"s": "secret"}}]
    )
    scripted(answer).invoke("secret")
    said = recorded.one().attributes
    assert said["llm.tool_call.names"] == ("refund",)
    assert "secret" not in str(dict(said))


def test_redaction_reaches_messages(record: Any, scripted: Any) -> None:
    recorded = record(langchain=True, capture_content=lambda text: text.replace("4111", "****"))
    scripted(AIMessage("card 4111")).invoke("my card is 4111")
    assert "4111" not in str(dict(recorded.one().attributes))
    assert "card ****" in recorded.one().attributes["gen_ai.output.messages"]


def test_error_of_the_provider_is_told_and_raised(traced: Any, scripted: Any) -> None:
    with pytest.raises(TimeoutError, match="too slow"):
        scripted(TimeoutError("too slow")).invoke("hi")
    span = traced.one()
    assert span.attributes["error.type"] == "TimeoutError"
    assert not span.status.is_ok
    assert "gen_ai.input.messages" in span.attributes


@pytest.mark.parametrize("is_async", [False, True])
def test_stream_tells_time_to_first_chunk_and_usage(
    traced: Any, streaming: Any, is_async: bool
) -> None:
    model = streaming()
    if is_async:

        async def collect() -> list[Any]:
            return [chunk async for chunk in model.astream("hi")]

        chunks = asyncio.run(collect())
    else:
        chunks = list(model.stream("hi"))
    assert "".join(chunk.content for chunk in chunks) == "Hello"
    said = traced.one().attributes
    assert 0 < said["gen_ai.response.time_to_first_chunk"] < said["llm.latency_ms"]
    assert said["llm.token_count.total"] == 13
    assert said["tollway.stream.outcome"] == "completed"
    assert said["gen_ai.request.stream"] is True
    assert '"content": "Hello"' in said["gen_ai.output.messages"]


def test_latency_leaves_out_the_app_s_own_time(
    traced: Any, streaming: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock(monkeypatch)
    for _ in streaming("a", "b", "c", during=lambda: clock.pass_ms(20)).stream("hi"):
        clock.pass_ms(1000)
    assert traced.one().attributes["llm.latency_ms"] == pytest.approx(20)


class _Clock:
    """The library's monotonic clock, moved by the test alone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now_ns = 1_000_000
        monkeypatch.setattr("tollway.langchain.scopes.time.perf_counter_ns", lambda: self._now_ns)

    def pass_ms(self, milliseconds: int) -> None:
        self._now_ns += milliseconds * 1_000_000


def test_plain_llm_is_a_text_completion(traced: Any) -> None:
    assert FakeListLLM(responses=["Hello"]).invoke("hi") == "Hello"
    span = traced.one()
    assert span.name == "text_completion FakeListLLM"
    assert span.attributes["gen_ai.operation.name"] == "text_completion"
    assert '"content": "Hello"' in span.attributes["gen_ai.output.messages"]
    assert '"content": "hi"' in span.attributes["gen_ai.input.messages"]


def test_plain_llm_tells_the_token_usage_of_its_output(traced: Any) -> None:
    class CountingLLM(FakeListLLM):
        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            result = super()._generate(*args, **kwargs)
            usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
            result.llm_output = {"token_usage": usage, "model_name": "old-model"}
            return result

    CountingLLM(responses=["Hello"]).invoke("hi")
    said = traced.one().attributes
    assert (said["llm.token_count.prompt"], said["llm.token_count.completion"]) == (4, 2)
    assert said["gen_ai.response.model"] == "old-model"


def test_answer_from_langchain_s_cache_costs_nothing(traced: Any, scripted: Any) -> None:
    model = scripted(cache=InMemoryCache())
    model.invoke("hi")
    model.invoke("hi")
    first, second = traced.all()
    assert first.attributes["llm.token_count.total"] == 13
    assert second.attributes["langchain.cache_hit"] is True
    assert not [name for name in second.attributes if "token_count" in name]


def test_several_prompts_of_one_call_are_several_calls(traced: Any, scripted: Any) -> None:
    scripted().generate([[HumanMessage("one")], [HumanMessage("two")]])
    spans = traced.all()
    assert [span.name for span in spans] == [CALL, CALL]
    said = [json.loads(span.attributes["gen_ai.input.messages"]) for span in spans]
    assert [messages[0]["parts"][0]["content"] for messages in said] == ["one", "two"]


def test_prompts_after_one_that_failed_are_not_left_open(traced: Any, scripted: Any) -> None:
    model = scripted(TimeoutError("busy"))
    with pytest.raises(TimeoutError):
        model.generate([[HumanMessage("one")], [HumanMessage("two")]])
    assert [span.attributes["error.type"] for span in traced.all()] == ["TimeoutError"] * 2


def test_metrics_of_a_call_are_recorded_once(record: Any, streaming: Any) -> None:
    reader = InMemoryMetricReader()
    record(langchain=True, meter_provider=MeterProvider([reader]))
    list(streaming().stream("hi"))
    points = dict(_points(reader))
    assert points["gen_ai.client.operation.duration"] == [1]
    assert points["gen_ai.client.operation.time_to_first_chunk"] == [1]
    assert points["gen_ai.client.token.usage"] == [1, 1]


def _points(reader: InMemoryMetricReader) -> Iterator[tuple[str, list[int]]]:
    data: Any = reader.get_metrics_data()
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                yield metric.name, [point.count for point in metric.data.data_points]
