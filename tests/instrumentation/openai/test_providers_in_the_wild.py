"""What known providers send, in the form they send it: each is told right and passed on whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

HEAD = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def _chunk(delta: Any, finish: Any = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {**HEAD, "choices": [choice], **more}


def test_azure_first_chunk_of_filter_results_is_passed_on(spans: Any, wire: Any, ask: Any) -> None:
    filters = {**HEAD, "choices": [], "prompt_filter_results": [{"prompt_index": 0}], "model": ""}
    usage = {**HEAD, "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 1}}
    events = [filters, _chunk({"content": "a"}), _chunk({}, "stop"), usage]
    client = wire.streams(events).client(base_url="https://mine.openai.azure.com/openai/v1")
    chunks = list(ask(client, stream=True))

    assert [len(chunk.choices) for chunk in chunks] == [0, 1, 1]
    told = spans.one().attributes
    assert told["gen_ai.response.model"] == "m"
    assert told["gen_ai.usage.input_tokens"] == 7


def test_deepseek_reasoning_and_cache(spans: Any, wire: Any, ask: Any) -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_cache_hit_tokens": 64,
        "prompt_cache_miss_tokens": 36,
        "completion_tokens_details": {"reasoning_tokens": 15},
    }
    events = [
        _chunk({"role": "assistant", "content": None, "reasoning_content": "Let me"}),
        _chunk({"content": None, "reasoning_content": " think"}),
        _chunk({"content": "Yes", "reasoning_content": None}),
        _chunk({"content": ""}, "stop", usage=usage),
    ]
    client = wire.streams(events).client(base_url="https://api.deepseek.com")
    chunks = list(ask(client, stream=True))

    assert len(chunks) == 4
    told = spans.one().attributes
    assert told["llm.token_count.prompt_details.cache_read"] == 64
    assert told["llm.token_count.completion_details.reasoning"] == 15
    assert json.loads(told["gen_ai.output.messages"])[0]["parts"] == [
        {"type": "reasoning", "content": "Let me think"},
        {"type": "text", "content": "Yes"},
    ]


@pytest.mark.parametrize("index", [{}, {"index": 0}, {"index": None}])
def test_gemini_tool_calls_without_index(
    spans: Any, wire: Any, ask: Any, index: dict[str, Any]
) -> None:
    def call(name: str, call_id: str) -> Any:
        function = {"name": name, "arguments": "{}"}
        return {**index, "id": call_id, "type": "function", "function": function}

    events = [
        _chunk({"role": "assistant", "tool_calls": [call("a", "1"), call("b", "2")]}),
        _chunk({"tool_calls": [call("c", "3")]}, "tool_calls"),
    ]
    base_url = "https://generativelanguage.googleapis.com/v1beta/openai/"
    list(ask(wire.streams(events).client(base_url=base_url), stream=True))

    assert spans.one().attributes["llm.tool_call.names"] == ("a", "b", "c")


def test_openrouter_comments_and_cost(spans: Any, wire: Any, ask: Any) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "cost": 0.00042}
    events: list[Any] = [
        b": OPENROUTER PROCESSING\n\n",
        _chunk({"content": "a"}, provider="Groq"),
        _chunk({"content": ""}, "stop", usage=usage, provider="Groq"),
    ]
    client = wire.streams(events).client(base_url="https://openrouter.ai/api/v1")
    assert len(list(ask(client, stream=True))) == 2

    told = spans.one().attributes
    assert told["gen_ai.usage.cost.amount"] == 0.00042
    assert told["gen_ai.provider.name"] == "openrouter"


def test_null_usage_on_every_chunk_is_forgotten_again(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    chunks = list(ask(wire.streams(samples.stream()).client(), stream=True))

    assert all("usage" not in chunk.to_dict() for chunk in chunks)


def test_mistral_content_parts(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    content = [{"type": "text", "text": "a"}, {"type": "reference", "reference_ids": [1]}]
    choice = {"index": 0, "message": {"role": "assistant", "content": content}}
    ask(wire.says(samples.chat(choices=[choice])).client(base_url="https://api.mistral.ai/v1"))

    parts = json.loads(spans.one().attributes["gen_ai.output.messages"])[0]["parts"]
    assert parts == [{"type": "text", "content": "a"}]


def test_two_choices_of_a_stream(spans: Any, wire: Any, ask: Any) -> None:
    def of(index: int, text: str, finish: Any = None) -> dict[str, Any]:
        choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
        return {**HEAD, "choices": [choice]}

    events = [of(1, "b"), of(0, "a"), of(1, "B", "length"), of(0, "A", "stop")]
    list(ask(wire.streams(events).client(), stream=True, n=2))

    told = spans.one().attributes
    assert told["gen_ai.response.finish_reasons"] == ("stop", "length")
    texts = [m["parts"][0]["content"] for m in json.loads(told["gen_ai.output.messages"])]
    assert texts == ["aA", "bB"]
