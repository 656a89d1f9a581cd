"""Answers in the shapes that providers' integrations give them: usage, reasons, models, parts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk

INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
READ, WRITE = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens"
REASONING = "gen_ai.usage.reasoning.output_tokens"
MODEL, REASONS = "gen_ai.response.model", "gen_ai.response.finish_reasons"
TOTALS: dict[str, Any] = {"input_tokens": 100, "output_tokens": 30, "total_tokens": 130}

ANTHROPIC = AIMessage(
    [
        {"type": "thinking", "thinking": "a refund", "signature": "s"},
        {"type": "text", "text": "On it."},
        {"type": "tool_use", "id": "tu1", "name": "refund", "input": {"order": 7}},
    ],
    tool_calls=[{"name": "refund", "args": {"order": 7}, "id": "tu1"}],
    response_metadata={
        "id": "msg_1",
        "model_name": "claude-sonnet-4-20250514",
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 80, "cache_read_input_tokens": 10, "service_tier": "standard"},
    },
    usage_metadata={
        **TOTALS,
        "input_token_details": {
            "cache_read": 10,
            "cache_creation": 10,
            "ephemeral_5m_input_tokens": 6,
            "ephemeral_1h_input_tokens": 4,
        },
    },
)
BEDROCK = AIMessage(
    [{"type": "text", "text": "On it."}],
    id="lc_run--0199",
    response_metadata={
        "ResponseMetadata": {"RequestId": "r", "HTTPStatusCode": 200},
        "stopReason": "end_turn",
        "metrics": {"latencyMs": [300]},
        "model_name": "anthropic.claude-3-5-sonnet-20240620-v1:0",
    },
    usage_metadata=TOTALS,
)
BEDROCK_INVOKE = AIMessage(
    "On it.",
    response_metadata={
        "usage": {"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130},
        "stop_reason": "stop_sequence",
        "model_id": "anthropic.claude-v2",
    },
)
GEMINI = AIMessage(
    "On it.",
    id="run--0199-0",
    response_metadata={
        "prompt_feedback": {"block_reason": 0},
        "finish_reason": "STOP",
        "model_name": "gemini-2.5-flash",
    },
    usage_metadata={
        **TOTALS,
        "input_token_details": {"cache_read": 5},
        "output_token_details": {"reasoning": 20},
    },
)
MISTRAL = AIMessage(
    "On it.",
    response_metadata={
        "token_usage": {
            "prompt_tokens": 100,
            "completion_tokens": 30,
            "prompt_tokens_details": {"cached_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 20},
        },
        "model": "mistral-small",
        "finish_reason": "length",
    },
)
RAW_ANTHROPIC = AIMessage(
    "On it.",
    response_metadata={
        "model": "claude-sonnet-4",
        "stop_reason": "refusal",
        "usage": {
            "input_tokens": 80,
            "output_tokens": 30,
            "cache_read_input_tokens": 10,
            "cache_creation_input_tokens": 10,
        },
    },
)
COHERE = AIMessage(
    "On it.",
    response_metadata={
        "generation_id": "g",
        "finish_reason": "COMPLETE",
        "token_count": {"input_tokens": 100.0, "output_tokens": 30.0},
    },
)
OLLAMA = AIMessage(
    "On it.",
    response_metadata={"model": "llama3", "done": True, "done_reason": "stop"},
    usage_metadata=TOTALS,
)

# Answer; the attributes it must give; the finish reason in the messages.
ANSWERS: dict[str, tuple[AIMessage, dict[str, Any], str]] = {
    "anthropic": (
        ANTHROPIC,
        {
            MODEL: "claude-sonnet-4-20250514",
            REASONS: ("tool_use",),
            READ: 10,
            WRITE: 10,
            "gen_ai.response.id": "msg_1",
            "llm.tool_call.names": ("refund",),
        },
        "tool_call",
    ),
    "anthropic without usage_metadata": (
        RAW_ANTHROPIC,
        {MODEL: "claude-sonnet-4", READ: 10, WRITE: 10, "llm.refusal": True},
        "content_filter",
    ),
    "bedrock": (
        BEDROCK,
        {MODEL: "anthropic.claude-3-5-sonnet-20240620-v1:0", REASONS: ("end_turn",)},
        "stop",
    ),
    "bedrock without usage_metadata": (
        BEDROCK_INVOKE,
        {MODEL: "anthropic.claude-v2", REASONS: ("stop_sequence",)},
        "stop",
    ),
    "gemini": (
        GEMINI,
        {MODEL: "gemini-2.5-flash", REASONS: ("STOP",), READ: 5, REASONING: 20},
        "stop",
    ),
    "mistral": (
        MISTRAL,
        {MODEL: "mistral-small", REASONS: ("length",), READ: 5, REASONING: 20},
        "length",
    ),
    "cohere": (COHERE, {REASONS: ("COMPLETE",)}, "stop"),
    "ollama": (OLLAMA, {MODEL: "llama3", REASONS: ("stop",)}, "stop"),
}


@pytest.mark.parametrize("provider", ANSWERS)
def test_answer_of_a_provider_is_read(traced: Any, scripted: Any, provider: str) -> None:
    answer, expected, reason = ANSWERS[provider]
    scripted(answer).invoke("hi")
    said = traced.one().attributes
    expected = {INPUT: 100, OUTPUT: 30, "llm.token_count.total": 130, **expected}
    assert {name: said.get(name) for name in expected} == expected
    assert ("gen_ai.response.id" in said) == ("gen_ai.response.id" in expected)
    [message] = json.loads(said["gen_ai.output.messages"])
    assert message["finish_reason"] == reason
    assert {"type": "text", "content": "On it."} in message["parts"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"finish_reason": 3, "model_name": ["x"], "usage": "none", "token_usage": [1]},
        {"finish_reason": None, "model_name": None, "token_usage": None, "id": None},
        {"usage": {"input_tokens": "9", "prompt_tokens_details": ["x"]}},
    ],
)
def test_odd_metadata_is_left_out(traced: Any, scripted: Any, metadata: Any) -> None:
    assert scripted(AIMessage("Hello", response_metadata=metadata)).invoke("hi").content == "Hello"
    said = traced.one().attributes
    assert not [n for n in said if "usage" in n or "token_count" in n or n in (MODEL, REASONS)]


def test_thoughts_and_refusals_beside_the_content_are_told(traced: Any, scripted: Any) -> None:
    extras = {"reasoning_content": "hm", "refusal": "I cannot."}
    scripted(AIMessage("", additional_kwargs=extras)).invoke("hi")
    said = traced.one().attributes
    assert said["llm.refusal"] is True
    assert json.loads(said["gen_ai.output.messages"])[0]["parts"] == [
        {"type": "reasoning", "content": "hm"},
        {"type": "refusal", "content": "I cannot."},
    ]


def test_tool_call_and_usage_of_a_stream_are_put_together(traced: Any, streaming: Any) -> None:
    def piece(text: str, **more: Any) -> AIMessageChunk:
        call = {"name": None, "args": text, "id": None, "index": 0, "type": "tool_call_chunk"}
        return AIMessageChunk("", tool_call_chunks=[{**call, **more}])

    chunks = [
        piece("", name="refund", id="c1"),
        piece('{"order"'),
        piece(": 7}"),
        AIMessageChunk("", response_metadata={"finish_reason": "tool_calls", "model_name": "m-1"}),
        AIMessageChunk("", usage_metadata=TOTALS),
    ]
    list(streaming(*chunks).stream("hi"))
    said = traced.one().attributes
    assert (said[INPUT], said[OUTPUT], said[MODEL]) == (100, 30, "m-1")
    assert said["llm.tool_call.names"] == ("refund",)
    [message] = json.loads(said["gen_ai.output.messages"])
    call = {"type": "tool_call", "id": "c1", "name": "refund", "arguments": {"order": 7}}
    assert message["parts"] == [call]
    assert message["finish_reason"] == "tool_call"
