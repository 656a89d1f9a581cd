"""The Responses API over the real client: create, stream, parse, background and retrieve."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.trace import StatusCode


def _response(**changes: Any) -> dict[str, Any]:
    body = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "background": False,
        "model": "gpt-5-2025-08-07",
        "service_tier": "default",
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "output": [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "Thinking"}],
            },
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
            },
        ],
        "usage": {
            "input_tokens": 30,
            "input_tokens_details": {"cached_tokens": 16},
            "output_tokens": 12,
            "output_tokens_details": {"reasoning_tokens": 8},
            "total_tokens": 42,
        },
    }
    return {**body, **changes}


def _events(response: dict[str, Any]) -> list[dict[str, Any]]:
    started = {**response, "status": "in_progress", "usage": None, "output": []}
    item = response["output"][-1]
    return [
        {"type": "response.created", "sequence_number": 0, "response": started},
        {
            "type": "response.output_item.added",
            "sequence_number": 1,
            "output_index": 0,
            "item": {**item, "content": [], "status": "in_progress"},
        },
        {
            "type": "response.content_part.added",
            "sequence_number": 2,
            "output_index": 0,
            "content_index": 0,
            "item_id": "msg_1",
            "part": {"type": "output_text", "text": "", "annotations": []},
        },
        {
            "type": "response.output_text.delta",
            "sequence_number": 3,
            "output_index": 0,
            "content_index": 0,
            "item_id": "msg_1",
            "delta": "Hel",
            "logprobs": [],
        },
        {
            "type": "response.output_item.done",
            "sequence_number": 4,
            "output_index": 0,
            "item": item,
        },
        {"type": "response.completed", "sequence_number": 5, "response": response},
    ]


def test_response_is_told(spans: Any, wire: Any) -> None:
    answer = (
        wire.says(_response())
        .client()
        .responses.create(
            model="gpt-5",
            input="Hi",
            instructions="Be brief",
            max_output_tokens=50,
            reasoning={"effort": "low"},
            previous_response_id="resp_0",
        )
    )

    assert answer.output_text == "Hello"
    span = spans.one()
    assert span.name == "chat gpt-5"
    expected = {
        "openai.api.type": "responses",
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.model": "gpt-5-2025-08-07",
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 12,
        "gen_ai.usage.cache_read.input_tokens": 16,
        "gen_ai.usage.reasoning.output_tokens": 8,
        "llm.token_count.total": 42,
        "gen_ai.response.finish_reasons": ("stop",),
        "openai.response.status": "completed",
        "openai.response.service_tier": "default",
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.reasoning.effort": "low",
        "openai.request.previous_response_id": "resp_0",
        "llm.tool_call.count": 0,
    }
    assert {key: span.attributes.get(key) for key in expected} == expected
    assert json.loads(span.attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Hi"}]}
    ]
    assert json.loads(span.attributes["gen_ai.system_instructions"]) == [
        {"type": "text", "content": "Be brief"}
    ]
    parts = json.loads(span.attributes["gen_ai.output.messages"])[0]["parts"]
    assert {"type": "text", "content": "Hello"} in parts
    assert {"type": "reasoning", "content": "Thinking"} in parts


def test_input_items_are_told_in_the_genai_form(spans: Any, wire: Any) -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "weather",
            "arguments": '{"at": "Rome"}',
        },
        {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        {"type": "item_reference", "id": "x"},
    ]
    wire.says(_response()).client().responses.create(model="gpt-5", input=items)

    told = json.loads(spans.one().attributes["gen_ai.input.messages"])
    assert [message["role"] for message in told] == ["user", "assistant", "tool", "unknown"]
    assert told[1]["parts"] == [
        {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"at": "Rome"}}
    ]
    assert told[2]["parts"] == [{"type": "tool_call_response", "id": "c1", "response": "sunny"}]


def test_function_and_builtin_tools_are_counted(spans: Any, wire: Any) -> None:
    output = [
        {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"query": "q"}},
        {"type": "code_interpreter_call", "id": "ci", "code": "1+1", "status": "completed"},
        {"type": "mcp_call", "id": "mc", "name": "lookup", "arguments": "{}", "server_label": "s"},
        {"type": "function_call", "id": "fc", "call_id": "c1", "name": "refund", "arguments": "{}"},
        {"type": "custom_tool_call", "id": "ct", "call_id": "c2", "name": "sql", "input": "SELECT"},
        {"type": "of_the_future", "id": "x"},
    ]
    wire.says(_response(output=output)).client().responses.create(model="gpt-5", input="Hi")

    told = spans.one().attributes
    names = ("web_search", "code_interpreter", "lookup", "refund", "sql")
    assert told["llm.tool_call.names"] == names
    assert told["llm.tool_call.count"] == 5
    assert told["gen_ai.response.finish_reasons"] == ("tool_calls",)


def test_incomplete_and_failed_responses(spans: Any, wire: Any) -> None:
    cut = _response(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    failed = _response(status="failed", error={"code": "server_error", "message": "no"}, output=[])
    client = wire.says(cut).says(failed).client()
    client.responses.create(model="gpt-5", input="Hi")
    client.responses.create(model="gpt-5", input="Hi")

    first, second = spans.all()
    assert first.attributes["gen_ai.response.finish_reasons"] == ("length",)
    assert first.status.status_code is StatusCode.UNSET
    assert second.status.status_code is StatusCode.ERROR
    assert second.attributes["error.type"] == "server_error"


def test_refusal_in_a_response(spans: Any, wire: Any) -> None:
    message = {**_response()["output"][-1], "content": [{"type": "refusal", "refusal": "No"}]}
    wire.says(_response(output=[message])).client().responses.create(model="gpt-5", input="Hi")

    assert spans.one().attributes["llm.refusal"] is True


def test_streamed_response(spans: Any, wire: Any) -> None:
    client = wire.streams(_events(_response()), done=False).client()
    events = list(client.responses.create(model="gpt-5", input="Hi", stream=True))

    assert len(events) == 6
    assert "stream_options" not in wire.sent()
    told = spans.one().attributes
    assert told["llm.token_count.total"] == 42
    assert told["gen_ai.response.finish_reasons"] == ("stop",)
    assert told["gen_ai.response.time_to_first_chunk"] > 0


def test_streamed_response_broken_off_keeps_what_came(spans: Any, wire: Any) -> None:
    client = wire.streams(_events(_response())[:4], done=False).client()
    with client.responses.create(model="gpt-5", input="Hi", stream=True) as stream:
        list(stream)

    told = spans.one().attributes
    assert told["gen_ai.response.id"] == "resp_1"
    assert '"Hel"' in told["gen_ai.output.messages"]
    assert "llm.token_count.total" not in told


def test_stream_helper_and_parse(spans: Any, wire: Any) -> None:
    client = wire.streams(_events(_response()), done=False).client()
    with client.responses.stream(model="gpt-5", input="Hi") as stream:
        assert stream.get_final_response().output_text == "Hello"

    import pydantic

    class Refund(pydantic.BaseModel):
        eur: int

    message = _response()["output"][-1]
    message["content"][0]["text"] = '{"eur": 5}'
    client = wire.says(_response(output=[message])).client()
    wire.answers.pop(0)
    parsed = client.responses.parse(model="gpt-5", input="Hi", text_format=Refund)

    assert parsed.output_parsed == Refund(eur=5)
    assert [span.attributes["llm.token_count.total"] for span in spans.all()] == [42, 42]
    assert spans.all()[1].attributes["gen_ai.output.type"] == "json"


def test_retrieved_response_is_not_counted_again(spans: Any, wire: Any) -> None:
    client = wire.says(_response(id="resp_fore")).client()
    client.responses.create(model="gpt-5", input="Hi")
    client.responses.retrieve("resp_fore")

    created, retrieved = spans.all()
    assert created.attributes["llm.token_count.total"] == 42
    assert "llm.token_count.total" not in retrieved.attributes
    assert retrieved.name == "retrieve_response"
    assert retrieved.attributes["gen_ai.operation.name"] == "retrieve_response"
    assert retrieved.attributes["gen_ai.response.id"] == "resp_fore"


def test_background_response_is_counted_once(spans: Any, wire: Any) -> None:
    queued = _response(id="resp_back", status="queued", background=True, usage=None, output=[])
    done = _response(id="resp_back", background=True)
    client = wire.says(queued).says({**queued, "status": "in_progress"}).says(done).client()
    client.responses.create(model="gpt-5", input="Hi", extra_body={"background": True})
    for _ in range(4):
        client.responses.retrieve("resp_back")

    totals = [span.attributes.get("llm.token_count.total") for span in spans.all()]
    assert totals == [None, None, 42, None, None]


def test_background_stream_then_retrieve_is_counted_once(spans: Any, wire: Any) -> None:
    done = _response(id="resp_bs", background=True)
    client = wire.streams(_events(done), done=False).says(done).client()
    background = {"background": True}
    list(client.responses.create(model="gpt-5", input="Hi", stream=True, extra_body=background))
    client.responses.retrieve("resp_bs")

    totals = [span.attributes.get("llm.token_count.total") for span in spans.all()]
    assert totals == [42, None]


def test_cancelled_response_is_not_counted(spans: Any, wire: Any) -> None:
    client = wire.says(_response(status="cancelled", background=True)).client()
    client.post("/responses/resp_1/cancel", cast_to=object)

    span = spans.one()
    assert span.name == "POST /responses/{id}/cancel"
    assert "llm.token_count.total" not in span.attributes


@pytest.mark.parametrize("conversation", ["conv_1", {"id": "conv_1"}])
def test_conversation_is_told(spans: Any, wire: Any, conversation: Any) -> None:
    client = wire.says(_response(conversation={"id": "conv_1"})).client()
    client.responses.create(model="gpt-5", input="Hi", extra_body={"conversation": conversation})

    assert spans.one().attributes["gen_ai.conversation.id"] == "conv_1"


async def test_async_responses(spans: Any, wire: Any) -> None:
    client = wire.streams(_events(_response()), done=False).async_client()
    stream = await client.responses.create(model="gpt-5", input="Hi", stream=True)

    assert len([event async for event in stream]) == 6
    assert spans.one().attributes["llm.token_count.total"] == 42
