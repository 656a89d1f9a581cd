"""Chat and legacy completions over the real client: what the span of a call tells."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from opentelemetry.trace import SpanKind, StatusCode


def test_chat_span_tells_model_tokens_and_finish(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    answer = ask(
        wire.says(samples.chat()).client(), temperature=0.5, max_tokens=9, seed=7, stop="x"
    )

    span = spans.one()
    assert answer.choices[0].message.content == "Hello"
    assert span.name == "chat gpt-4o-mini"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "llm.model_name": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 9,
        "gen_ai.usage.cache_read.input_tokens": 12,
        "gen_ai.usage.reasoning.output_tokens": 4,
        "gen_ai.usage.audio.input_tokens": 3,
        "gen_ai.usage.audio.output_tokens": 1,
        "llm.token_count.prompt": 20,
        "llm.token_count.completion": 9,
        "llm.token_count.total": 29,
        "llm.token_count.prompt_details.cache_read": 12,
        "llm.token_count.completion_details.reasoning": 4,
        "llm.tool_call.count": 0,
        "llm.attempt.count": 1,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ("x",),
        "openai.api.type": "chat_completions",
        "openai.response.service_tier": "default",
        "openai.response.system_fingerprint": "fp_1",
        "openai.request_id": "req_1",
        "server.address": "api.openai.com",
        "server.port": 443,
    }
    assert {key: span.attributes.get(key) for key in expected} == expected
    assert span.attributes["llm.latency_ms"] > 0


async def test_async_chat_is_told_like_sync(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    answer = await ask(wire.says(samples.chat()).async_client())

    assert answer.choices[0].message.content == "Hello"
    assert spans.one().attributes["llm.token_count.total"] == 29


def test_messages_are_told_in_the_genai_form(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    messages = [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}]},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
    ]
    ask(wire.says(samples.chat()).client(), messages=messages)

    told = json.loads(spans.one().attributes["gen_ai.input.messages"])
    assert told == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief"}]},
        {"role": "user", "parts": [{"type": "text", "content": "What is it?"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "look", "arguments": {}}],
        },
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "c1", "response": "found"}],
        },
    ]
    output = json.loads(spans.one().attributes["gen_ai.output.messages"])
    assert output == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "Hello"}],
            "finish_reason": "stop",
        }
    ]


def _with_tool_calls(samples: Any) -> Any:
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "refund", "arguments": '{"eur": 5}'}},
        {"id": "c2", "type": "function", "function": {"name": "close", "arguments": '{"id": '}},
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    return samples.chat(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])


def test_tool_calls_are_told_with_broken_arguments_as_sent(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    ask(wire.says(_with_tool_calls(samples)).client())

    told = spans.one().attributes
    assert told["llm.tool_call.count"] == 2
    assert told["llm.tool_call.names"] == ("refund", "close")
    parts = json.loads(told["gen_ai.output.messages"])[0]["parts"]
    assert parts == [
        {"type": "tool_call", "id": "c1", "name": "refund", "arguments": {"eur": 5}},
        {"type": "tool_call", "id": "c2", "name": "close", "arguments": '{"id": '},
    ]


def test_tool_names_are_told_when_content_is_off(
    record: Any, wire: Any, samples: Any, ask: Any
) -> None:
    spans = record(capture_content=False)
    ask(wire.says(_with_tool_calls(samples)).client())

    told = spans.one().attributes
    assert told["llm.tool_call.names"] == ("refund", "close")
    assert not any("messages" in key for key in told)


def test_finish_reasons_of_all_choices_are_told(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    choices = [
        {"index": i, "message": {"role": "assistant", "content": str(i)}, "finish_reason": reason}
        for i, reason in enumerate(["stop", "length"])
    ]
    ask(wire.says(samples.chat(choices=choices)).client(), n=2)

    told = spans.one().attributes
    assert told["gen_ai.response.finish_reasons"] == ("stop", "length")
    assert told["gen_ai.request.choice.count"] == 2


def test_refusal_is_told(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I cannot"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    ask(wire.says(samples.chat(choices=[choice])).client())

    told = spans.one().attributes
    assert told["llm.refusal"] is True
    assert json.loads(told["gen_ai.output.messages"])[0]["parts"] == [
        {"type": "refusal", "content": "I cannot"}
    ]


def test_tool_definitions_are_opt_in(record: Any, wire: Any, samples: Any, ask: Any) -> None:
    tool = {"type": "function", "function": {"name": "refund", "parameters": {"type": "object"}}}
    wire.says(samples.chat())
    spans = record()
    ask(wire.client(), tools=[tool])
    assert "gen_ai.tool.definitions" not in spans.one().attributes

    spans = record(capture_tool_definitions=True)
    ask(wire.client(), tools=[tool])
    assert json.loads(spans.one().attributes["gen_ai.tool.definitions"]) == [
        {"type": "function", "name": "refund", "parameters": {"type": "object"}}
    ]


def test_service_tier_requested_and_served(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    ask(wire.says(samples.chat(service_tier="default")).client(), service_tier="flex")

    told = spans.one().attributes
    assert told["openai.request.service_tier"] == "flex"
    assert told["openai.response.service_tier"] == "default"


def test_parse_gives_the_model_and_warns_of_nothing(spans: Any, wire: Any, samples: Any) -> None:
    import pydantic

    class Refund(pydantic.BaseModel):
        eur: int

    message = {"role": "assistant", "content": '{"eur": 5}'}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    client = wire.says(samples.chat(choices=[choice])).client()
    chat = (
        client.chat.completions
        if hasattr(client.chat.completions, "parse")
        else (client.beta.chat.completions)
    )
    answer = chat.parse(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "?"}], response_format=Refund
    )

    assert answer.choices[0].message.parsed == Refund(eur=5)
    told = spans.one().attributes
    assert told["gen_ai.output.type"] == "json"
    assert told["llm.token_count.total"] == 29


def test_legacy_completion(spans: Any, wire: Any, samples: Any) -> None:
    body = {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "gpt-3.5-turbo-instruct",
        "choices": [{"index": 0, "text": "four", "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
    wire.says(body).client().completions.create(model="gpt-3.5-turbo-instruct", prompt="2+2=")

    span = spans.one()
    assert span.name == "text_completion gpt-3.5-turbo-instruct"
    assert span.attributes["gen_ai.operation.name"] == "text_completion"
    assert span.attributes["llm.token_count.total"] == 4
    assert "four" in span.attributes["gen_ai.output.messages"]
    assert "2+2=" in span.attributes["gen_ai.input.messages"]


def test_route_and_session_are_on_the_call(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    import tollway

    client = wire.says(samples.chat()).client()
    with (
        tollway.session("s1", user="u1"),
        tollway.route("refunds", cohort="closure", variant="student") as route,
    ):
        assert route.trace_id is None
        ask(client)
    told = spans.one().attributes
    assert told["tollway.route"] == "refunds"
    assert told["tollway.cohort"] == "closure"
    assert told["tollway.variant"] == "student"
    assert told["session.id"] == "s1"
    assert told["user.id"] == "u1"
    assert route.trace_id == format(spans.one().context.trace_id, "032x")


def test_raw_request_through_the_client_is_one_span(spans: Any, wire: Any, samples: Any) -> None:
    client = wire.says(samples.chat()).client()
    body = {"model": "gpt-4o-mini", "messages": []}
    answer = client.post("/chat/completions", body=body, cast_to=wire.http.Response)

    assert answer.json()["id"] == "chatcmpl-1"
    assert spans.one().attributes["llm.token_count.total"] == 29


def test_error_status_is_told(spans: Any, wire: Any, ask: Any) -> None:
    client = wire.says({"error": {"message": "no", "type": "invalid"}}, status=400).client()
    with pytest.raises(openai.BadRequestError):
        ask(client)

    span = spans.one()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "BadRequestError"
    assert span.attributes["http.response.status_code"] == 400
    assert span.attributes["openai.request_id"] == "req_1"
    assert [event.name for event in span.events] == ["exception"]
    assert span.events[0].attributes["exception.type"] == "openai.BadRequestError"


def test_retries_of_the_client_are_counted_and_told(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    wait = {"retry-after-ms": "1"}
    wire.says({"error": {}}, status=429, headers=wait).says({"error": {}}, status=500, headers=wait)
    answer = ask(wire.says(samples.chat()).client(max_retries=3))

    assert answer.id == "chatcmpl-1"
    span = spans.one()
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["llm.attempt.count"] == 3
    failed = [event for event in span.events if event.name == "llm.attempt.failed"]
    assert [event.attributes["http.response.status_code"] for event in failed] == [429, 500]
    assert [event.attributes["llm.attempt.number"] for event in failed] == [1, 2]


async def test_retries_of_the_async_client_are_told(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    wire.says({"error": {}}, status=503, headers={"retry-after-ms": "1"})
    await ask(wire.says(samples.chat()).async_client(max_retries=1))

    span = spans.one()
    assert span.attributes["llm.attempt.count"] == 2
    assert span.events[0].attributes["http.response.status_code"] == 503


def test_connection_error_is_told(spans: Any, wire: Any, ask: Any) -> None:
    wire.answers.append(wire.http.ConnectError("nobody"))
    with pytest.raises(openai.APIConnectionError):
        ask(wire.client())

    assert spans.one().attributes["error.type"] == "APIConnectionError"


def test_error_text_stays_inside_when_content_is_off(record: Any, wire: Any, ask: Any) -> None:
    spans = record(capture_content=False)
    client = wire.says({"error": {"message": "bad value: my secret"}}, status=400).client()
    with pytest.raises(openai.BadRequestError):
        ask(client)

    span = spans.one()
    assert span.attributes["error.type"] == "BadRequestError"
    assert "secret" not in span.to_json()
