"""Whole answers in the form that known providers give them: what each says is told right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

IN, OUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
READ, WRITE = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens"
REASONING = "gen_ai.usage.reasoning.output_tokens"
TOTAL = "llm.token_count.total"


def _message(content: Any = "x", **more: Any) -> list[dict[str, Any]]:
    message = {"role": "assistant", "content": content, **more}
    return [{"index": 0, "message": message, "finish_reason": "stop"}]


# name: (base URL, body, expected attributes)
ANSWERS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "openai, predicted outputs": (
        "https://api.openai.com/v1",
        {
            "usage": {
                "prompt_tokens": 2006,
                "completion_tokens": 300,
                "total_tokens": 2306,
                "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
                "completion_tokens_details": {
                    "reasoning_tokens": 0,
                    "accepted_prediction_tokens": 10,
                    "rejected_prediction_tokens": 2,
                },
            }
        },
        {IN: 2006, OUT: 300, READ: 1920, REASONING: 0, TOTAL: 2306},
    ),
    "azure, filter results": (
        "https://mine.openai.azure.com/openai/v1",
        {
            "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "content_filter",
                    "content_filter_results": {"hate": {"filtered": True, "severity": "high"}},
                    "message": {"role": "assistant", "content": None},
                }
            ],
        },
        {
            "gen_ai.provider.name": "azure.ai.openai",
            "gen_ai.response.finish_reasons": ("content_filter",),
        },
    ),
    "groq, times beside the counts": (
        "https://api.groq.com/openai/v1",
        {
            "usage": {
                "queue_time": 0.03,
                "prompt_tokens": 18,
                "prompt_time": 0.0007,
                "completion_tokens": 12,
                "completion_time": 0.4,
                "total_tokens": 30,
                "total_time": 0.46,
            },
            "x_groq": {"id": "req_01"},
        },
        {"gen_ai.provider.name": "groq", IN: 18, OUT: 12, TOTAL: 30},
    ),
    "openrouter, its fee beside what the own key pays upstream": (
        "https://openrouter.ai/api/v1",
        {
            "provider": "Anthropic",
            "model": "anthropic/claude-sonnet-4",
            "usage": {
                "prompt_tokens": 194,
                "completion_tokens": 2,
                "total_tokens": 196,
                "cost": 0.95,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 19},
                "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 100},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
        },
        {
            "gen_ai.usage.cost.amount": 19.95,
            WRITE: 100,
            IN: 194,
            "gen_ai.usage.cost.source": "provider",
        },
    ),
    "xai, reasoning beside the output": (
        "https://api.x.ai/v1",
        {
            "usage": {
                "prompt_tokens": 31,
                "completion_tokens": 9,
                "total_tokens": 140,
                "prompt_tokens_details": {"text_tokens": 31, "cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 100},
                "num_sources_used": 0,
            }
        },
        {OUT: 109, REASONING: 100, READ: 4, TOTAL: 140},
    ),
    "gemini, thinking in the total alone": (
        "https://generativelanguage.googleapis.com/v1beta/openai",
        {"usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 95}},
        {OUT: 85, REASONING: 65, "gen_ai.provider.name": "gcp.gemini"},
    ),
    "anthropic's own names, cache beside the input": (
        "https://api.anthropic.com/v1",
        {
            "usage": {
                "input_tokens": 10,
                "cache_read_input_tokens": 500,
                "cache_creation_input_tokens": 90,
                "output_tokens": 5,
            }
        },
        {IN: 600, OUT: 5, READ: 500, WRITE: 90, TOTAL: 605},
    ),
    "a proxy in front of claude, cache inside the input": (
        "http://litellm.internal:4000/v1",
        {
            "usage": {
                "prompt_tokens": 600,
                "completion_tokens": 5,
                "total_tokens": 605,
                "cache_read_input_tokens": 500,
                "cache_creation_input_tokens": 90,
                "prompt_tokens_details": {"cached_tokens": 500},
            }
        },
        {IN: 600, OUT: 5, READ: 500, WRITE: 90, TOTAL: 605},
    ),
    "vllm, no details": (
        "http://vllm.internal:8000/v1",
        {
            "prompt_logprobs": None,
            "kv_transfer_params": None,
            "usage": {
                "prompt_tokens": 7,
                "total_tokens": 12,
                "completion_tokens": 5,
                "prompt_tokens_details": None,
            },
        },
        {"gen_ai.provider.name": "vllm", IN: 7, OUT: 5},
    ),
    "perplexity, what it cost": (
        "https://api.perplexity.ai",
        {
            "citations": ["https://a.example"],
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "total_tokens": 12,
                "search_context_size": "low",
                "cost": {"input_tokens_cost": 0.0, "request_cost": 0.005, "total_cost": 0.006},
            },
        },
        {"gen_ai.usage.cost.amount": 0.006, IN: 9},
    ),
    "deepseek, misses of its cache": (
        "https://api.deepseek.com",
        {
            "usage": {
                "prompt_tokens": 16,
                "completion_tokens": 10,
                "total_tokens": 26,
                "prompt_tokens_details": {"cached_tokens": 0},
                "prompt_cache_hit_tokens": 0,
                "prompt_cache_miss_tokens": 16,
            }
        },
        {IN: 16, OUT: 10, READ: 0},
    ),
    "audio out": (
        "https://api.openai.com/v1",
        {
            "usage": {
                "prompt_tokens": 14,
                "completion_tokens": 113,
                "total_tokens": 127,
                "prompt_tokens_details": {"audio_tokens": 0, "text_tokens": 14, "image_tokens": 0},
                "completion_tokens_details": {"audio_tokens": 93, "text_tokens": 20},
            },
            "choices": _message(
                None, audio={"id": "audio_1", "data": "UklG" * 200, "transcript": "hello"}
            ),
        },
        {"gen_ai.usage.audio.output_tokens": 93, "gen_ai.usage.text.output_tokens": 20},
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_is_told(spans: Any, wire: Any, samples: Any, ask: Any, name: str) -> None:
    base_url, body, expected = ANSWERS[name]
    ask(wire.says(samples.chat(**body)).client(base_url=base_url))

    told = spans.one().attributes
    assert {key: told.get(key) for key in expected} == expected


# name: (message, its parts as told)
MESSAGES: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "mistral's thinking": (
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Well"}]},
                {"type": "text", "text": "Yes"},
            ]
        },
        [{"type": "reasoning", "content": "Well"}, {"type": "text", "content": "Yes"}],
    ),
    "databricks' summary": (
        {
            "content": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Well"}]},
                {"type": "text", "text": "Yes"},
            ]
        },
        [{"type": "reasoning", "content": "Well"}, {"type": "text", "content": "Yes"}],
    ),
    "ollama's and groq's reasoning": (
        {"content": "Yes", "reasoning": "Well"},
        [{"type": "reasoning", "content": "Well"}, {"type": "text", "content": "Yes"}],
    ),
    "gemini's thought signature": (
        {
            "content": None,
            "tool_calls": [
                {
                    "id": "c",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"a": 1}'},
                    "extra_content": {"google": {"thought_signature": "s" * 400}},
                }
            ],
        },
        [{"type": "tool_call", "id": "c", "name": "f", "arguments": {"a": 1}}],
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_message_is_told(spans: Any, wire: Any, samples: Any, ask: Any, name: str) -> None:
    message, parts = MESSAGES[name]
    ask(wire.says(samples.chat(choices=_message(**message))).client())

    assert json.loads(spans.one().attributes["gen_ai.output.messages"])[0]["parts"] == parts


def test_choice_that_broke_off_is_an_error(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    broken = {**_message("Hal")[0], "finish_reason": "error"}
    broken["error"] = {"code": 502, "message": "upstream gone"}
    ask(wire.says(samples.chat(choices=[broken])).client())

    span = spans.one()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "502"
    assert '"Hal"' in span.attributes["gen_ai.output.messages"]


@pytest.mark.parametrize("given", [{"user": "u-1"}, {"extra_body": {"safety_identifier": "u-1"}}])
def test_user_of_the_request_is_told(
    spans: Any, wire: Any, samples: Any, ask: Any, given: Any
) -> None:
    ask(wire.says(samples.chat()).client(), **given)

    assert spans.one().attributes["user.id"] == "u-1"


def test_user_of_the_session_goes_first(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    import tollway

    with tollway.session("s", user="ours"):
        ask(wire.says(samples.chat()).client(), user="theirs")

    assert spans.one().attributes["user.id"] == "ours"


def test_user_of_the_request_passes_the_content_policy(
    record: Any, wire: Any, samples: Any, ask: Any
) -> None:
    client = wire.says(samples.chat()).client()
    hidden = record(capture_content=False)
    ask(client, user="a@example.org")
    redacted = record(capture_content=lambda text: text.replace("example", "…"))
    ask(client, user="a@example.org")

    assert "user.id" not in hidden.one().attributes
    assert redacted.one().attributes["user.id"] == "a@….org"
