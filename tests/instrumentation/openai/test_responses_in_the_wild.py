"""Responses with every kind of item, whole and streamed: told right, and passed on as they are."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import openai
import pytest

from tollway.openai.responses import ResponseEvents

# What the provider or the app ran: (item, (type, name, arguments) of the part; None for no call).
ITEMS: dict[str, tuple[dict[str, Any], Any]] = {
    "web search": (
        {
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {"type": "search", "query": "q", "sources": []},
        },
        (
            "server_tool_call",
            "web_search",
            {"action": {"type": "search", "query": "q", "sources": []}},
        ),
    ),
    "file search": (
        {
            "type": "file_search_call",
            "id": "fs_1",
            "status": "completed",
            "queries": ["refunds"],
            "results": None,
        },
        ("server_tool_call", "file_search", {"queries": ["refunds"]}),
    ),
    "code interpreter": (
        {
            "type": "code_interpreter_call",
            "id": "ci_1",
            "code": "1+1",
            "container_id": "cntr_1",
            "outputs": [{"type": "logs", "logs": "2"}],
            "status": "completed",
        },
        ("server_tool_call", "code_interpreter", {"code": "1+1"}),
    ),
    "mcp call": (
        {
            "type": "mcp_call",
            "id": "mcp_1",
            "name": "roll",
            "arguments": '{"dice": "2d4"}',
            "server_label": "dmcp",
            "output": "4",
            "error": None,
            "approval_request_id": None,
        },
        ("server_tool_call", "roll", {"dice": "2d4"}),
    ),
    "mcp tools": (
        {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "dmcp", "tools": []},
        None,
    ),
    "mcp approval": (
        {
            "type": "mcp_approval_request",
            "id": "mcpr_1",
            "name": "roll",
            "arguments": "{}",
            "server_label": "dmcp",
        },
        None,
    ),
    "computer": (
        {
            "type": "computer_call",
            "id": "cu_1",
            "call_id": "call_1",
            "action": {"type": "click", "button": "left", "x": 1, "y": 2},
            "pending_safety_checks": [],
            "status": "completed",
        },
        (
            "tool_call",
            "computer",
            {"action": {"type": "click", "button": "left", "x": 1, "y": 2}},
        ),
    ),
    "patch": (
        {
            "type": "apply_patch_call",
            "id": "ap_1",
            "call_id": "call_1",
            "operation": {"type": "delete_file", "path": "a.py"},
            "status": "completed",
        },
        ("tool_call", "apply_patch", {"operation": {"type": "delete_file", "path": "a.py"}}),
    ),
    "custom tool": (
        {
            "type": "custom_tool_call",
            "id": "ct_1",
            "call_id": "c",
            "name": "sql",
            "input": "SELECT",
        },
        ("tool_call", "sql", "SELECT"),
    ),
    "encrypted reasoning": (
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA" * 300},
        None,
    ),
}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Done", "annotations": []}],
}
USAGE = {
    "input_tokens": 328,
    "input_tokens_details": {"cached_tokens": 300, "cache_write_tokens": 12},
    "output_tokens": 356,
    "output_tokens_details": {"reasoning_tokens": 320},
    "total_tokens": 684,
}


def _response(*output: Any, **changes: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-5-2025-08-07",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": USAGE,
        **changes,
    }


def _check(told: Any, call: Any) -> None:
    assert told["llm.token_count.total"] == 684
    assert told["gen_ai.usage.reasoning.output_tokens"] == 320
    assert told["gen_ai.usage.cache_creation.input_tokens"] == 12
    assert told["llm.tool_call.count"] == (call is not None)
    is_waiting = call is not None and call[0] == "tool_call"
    assert told["gen_ai.response.finish_reasons"] == ("tool_calls" if is_waiting else "stop",)
    parts = json.loads(told["gen_ai.output.messages"])[0]["parts"]
    assert {"type": "text", "content": "Done"} in parts
    if call is not None:
        (part,) = [part for part in parts if part["type"].endswith("tool_call")]
        assert (part["type"], part["name"], part["arguments"]) == call


@pytest.mark.parametrize("kind", ITEMS)
def test_item_is_told(spans: Any, wire: Any, kind: str) -> None:
    item, call = ITEMS[kind]
    answer = wire.says(_response(item, MESSAGE)).client().responses.create(model="m", input="x")

    assert answer.output[0].type == item["type"]
    assert answer.output_text == "Done"
    _check(spans.one().attributes, call)


@pytest.mark.parametrize("kind", ITEMS)
def test_streamed_item_is_told(spans: Any, wire: Any, kind: str) -> None:
    item, call = ITEMS[kind]
    whole = _response(item, MESSAGE)
    events = [
        {"type": "response.created", "response": {**whole, "output": [], "usage": None}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 1, "item": MESSAGE},
        {"type": "response.completed", "response": whole},
    ]
    client = wire.streams(events, done=False).client()
    assert len(list(client.responses.create(model="m", input="x", stream=True))) == 5

    _check(spans.one().attributes, call)


def test_refusal_broken_off_in_a_stream(spans: Any, wire: Any) -> None:
    started = _response(status="in_progress", usage=None)
    events = [
        {"type": "response.created", "response": started},
        {"type": "response.refusal.delta", "delta": "I can", "item_id": "m", "output_index": 0},
        {"type": "response.refusal.delta", "delta": "not", "item_id": "m", "output_index": 0},
    ]
    client = wire.streams(events, done=False).client()
    with client.responses.create(model="m", input="x", stream=True) as stream:
        for _ in range(3):
            next(stream)

    told = spans.one().attributes
    assert told["llm.refusal"] is True
    assert "I cannot" in told["gen_ai.output.messages"]
    assert told["tollway.stream.outcome"] == "closed_early"


def test_error_event_of_a_stream(spans: Any, wire: Any) -> None:
    events = [
        {"type": "response.created", "response": _response(status="in_progress", usage=None)},
        {"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": None},
    ]
    client = wire.streams(events, done=False).client()
    # The client raises at some of its versions, and passes the event on at others.
    with contextlib.suppress(openai.APIError):
        list(client.responses.create(model="m", input="x", stream=True))

    assert spans.one().attributes["error.type"] in {"rate_limit_exceeded", "APIError"}


def test_error_event_as_openai_1_hands_it_over() -> None:
    events = ResponseEvents()
    events.add({"event": "error", "data": {"code": "rate_limit_exceeded", "message": "slow"}})
    answer = events.answer("openai")

    assert (answer.error_type, answer.error_message) == ("rate_limit_exceeded", "slow")


def test_picture_of_a_response_is_summed_up(spans: Any, wire: Any) -> None:
    picture = {
        "type": "image_generation_call",
        "id": "ig_1",
        "status": "completed",
        "result": "iVBORw0KGgo" * 400,
    }
    wire.says(_response(picture, MESSAGE)).client().responses.create(model="m", input="draw")

    span = spans.one()
    assert "iVBORw0KGgoiVBOR" not in span.to_json()
    assert span.attributes["llm.tool_call.names"] == ("image_generation",)
