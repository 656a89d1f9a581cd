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


def test_null_usage_after_azure_s_first_chunk_is_forgotten_too(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    filters = {**HEAD, "choices": [], "prompt_filter_results": [{"prompt_index": 0}], "model": ""}
    client = wire.streams([filters, *samples.stream()]).client()
    chunks = list(ask(client, stream=True))

    assert len(chunks) == 4
    assert all("usage" not in chunk.to_dict() for chunk in chunks)


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


def test_openrouter_says_usage_unasked_and_the_app_sees_it(spans: Any, wire: Any, ask: Any) -> None:
    usage = {**HEAD, "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 2}}
    events = [_chunk({"content": "a"}), _chunk({"content": ""}, "stop"), usage]
    client = wire.streams(events).client(base_url="https://openrouter.ai/api/v1")
    chunks = list(ask(client, stream=True))

    assert [len(chunk.choices) for chunk in chunks] == [1, 1, 0]
    assert "stream_options" not in wire.sent()
    assert spans.one().attributes["gen_ai.usage.input_tokens"] == 10


_DETAILS = [
    {"type": "reasoning.summary", "summary": "Let me ", "index": 0},
    {"type": "reasoning.text", "text": "think", "signature": "c2ln", "index": 1},
    {"type": "reasoning.encrypted", "data": "Z2g=", "index": 2},
]


@pytest.mark.parametrize("with_text", [True, False])
@pytest.mark.parametrize("is_stream", [True, False])
def test_openrouter_s_reasoning_details_are_told_once(
    spans: Any, wire: Any, samples: Any, ask: Any, is_stream: bool, with_text: bool
) -> None:
    text = {"reasoning": "Let me think"} if with_text else {"reasoning": None}
    if is_stream:
        pieces: list[Any] = [
            {"role": "assistant", "content": "", "reasoning_details": [detail]}
            for detail in _DETAILS
        ]
        if with_text:
            pieces[0]["reasoning"], pieces[1]["reasoning"] = "Let me ", "think"
        wire.streams([*map(_chunk, pieces), _chunk({"content": "Yes"}), _chunk({}, "stop")])
    else:
        message = {"role": "assistant", "content": "Yes", "reasoning_details": _DETAILS, **text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        wire.says(samples.chat(choices=[choice]))
    answer = ask(wire.client(base_url="https://openrouter.ai/api/v1"), stream=is_stream)
    if is_stream:
        list(answer)

    assert json.loads(spans.one().attributes["gen_ai.output.messages"])[0]["parts"] == [
        {"type": "reasoning", "content": "Let me think"},
        {"type": "text", "content": "Yes"},
    ]


def test_whole_messages_in_a_stream(spans: Any, wire: Any, ask: Any) -> None:
    message = {"role": "assistant", "content": "Whole"}
    events = [{**HEAD, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}]
    list(ask(wire.streams(events).client(), stream=True))

    parts = json.loads(spans.one().attributes["gen_ai.output.messages"])[0]["parts"]
    assert parts == [{"type": "text", "content": "Whole"}]


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


def _calls(spans: Any, wire: Any, ask: Any, deltas: list[Any]) -> list[Any]:
    events = [_chunk({"tool_calls": [delta]}) for delta in deltas]
    list(ask(wire.streams([*events, _chunk({}, "tool_calls")]).client(), stream=True))
    parts = json.loads(spans.one().attributes["gen_ai.output.messages"])[0]["parts"]
    return [(part["name"], part["arguments"]) for part in parts]


@pytest.mark.parametrize(
    "names",
    [("get_weather", None), ("get_", "weather"), ("get_weather",) * 2, ("get", "get_weather")],
)
def test_tool_name_comes_whole_in_pieces_or_again(
    spans: Any, wire: Any, ask: Any, names: Any
) -> None:
    first, second = names
    deltas = [
        {"index": 0, "id": "c", "type": "function", "function": {"name": first, "arguments": ""}},
        {"index": 0, "function": {"name": second, "arguments": '{"a"'}},
        {"index": 0, "function": {"name": "", "arguments": ": 1}"}},
    ]
    assert _calls(spans, wire, ask, deltas) == [("get_weather", {"a": 1})]


def test_whole_calls_without_id_under_one_index(spans: Any, wire: Any, ask: Any) -> None:
    deltas = [
        {"index": 0, "id": "", "function": {"name": "a", "arguments": "{}"}},
        {"index": 0, "id": "", "function": {"name": "b", "arguments": '{"x": 1}'}},
    ]
    assert _calls(spans, wire, ask, deltas) == [("a", {}), ("b", {"x": 1})]


@pytest.mark.parametrize("index", [{"index": 0}, {}])
@pytest.mark.parametrize("first", ['{"x": 1}', {"x": 1}])
def test_one_tool_called_twice_without_ids(
    spans: Any, wire: Any, ask: Any, index: Any, first: Any
) -> None:
    deltas = [
        {**index, "function": {"name": "a", "arguments": first}},
        {**index, "function": {"name": "a", "arguments": '{"x": 2}'}},
    ]
    assert _calls(spans, wire, ask, deltas) == [("a", {"x": 1}), ("a", {"x": 2})]


def test_name_repeated_with_every_piece_of_the_arguments(spans: Any, wire: Any, ask: Any) -> None:
    pieces = ["", '{"x": {"y": 1}', ', "z": ', "2}"]
    deltas = [{"index": 0, "function": {"name": "a", "arguments": piece}} for piece in pieces]
    assert _calls(spans, wire, ask, deltas) == [("a", {"x": {"y": 1}, "z": 2})]


def test_moonshot_s_usage_is_in_the_choice(spans: Any, wire: Any, ask: Any) -> None:
    last = _chunk({}, "stop")
    last["choices"][0]["usage"] = {"prompt_tokens": 19, "completion_tokens": 13}
    client = wire.streams([_chunk({"content": "a"}), last]).client(
        base_url="https://api.moonshot.ai/v1"
    )
    assert len(list(ask(client, stream=True))) == 2
    assert spans.one().attributes["gen_ai.usage.input_tokens"] == 19


def test_usage_on_every_chunk_counts_once_and_hides_nothing(
    spans: Any, wire: Any, ask: Any
) -> None:
    def used(count: int) -> dict[str, int]:
        return {"prompt_tokens": 5, "completion_tokens": count, "total_tokens": 5 + count}

    events = [_chunk({"role": "assistant", "content": "a"}, usage=used(n)) for n in (1, 2, 3)]
    chunks = list(ask(wire.streams(events).client(base_url="http://vllm:8000/v1"), stream=True))

    assert [chunk.usage.completion_tokens for chunk in chunks] == [1, 2, 3]
    assert spans.one().attributes["gen_ai.usage.output_tokens"] == 3


def test_mistral_thinks_in_parts_of_a_stream(spans: Any, wire: Any, ask: Any) -> None:
    thought = [{"type": "thinking", "thinking": [{"type": "text", "text": "We"}]}]
    more = [{"type": "thinking", "thinking": [{"type": "text", "text": "ll"}]}]
    events = [_chunk({"content": thought}), _chunk({"content": more}), _chunk({"content": "Yes"})]
    list(ask(wire.streams(events).client(base_url="https://api.mistral.ai/v1"), stream=True))

    assert json.loads(spans.one().attributes["gen_ai.output.messages"])[0]["parts"] == [
        {"type": "reasoning", "content": "Well"},
        {"type": "text", "content": "Yes"},
    ]


def test_audio_of_a_stream(spans: Any, wire: Any, ask: Any) -> None:
    events = [
        _chunk({"role": "assistant", "content": "", "audio": {"id": "a", "transcript": "Hel"}}),
        _chunk({"audio": {"id": "a", "transcript": "lo"}}),
        _chunk({"content": "seen", "audio": {"transcript": "!"}}),
        _chunk({"audio": {"data": "UklG" * 100}}),
        _chunk({}, "stop"),
    ]
    list(ask(wire.streams(events).client(), stream=True, modalities=["text", "audio"]))

    told = spans.one().attributes
    assert told["gen_ai.output.type"] == "speech"
    assert json.loads(told["gen_ai.output.messages"])[0]["parts"] == [
        {"type": "text", "content": "seen"},
        {"type": "blob", "modality": "audio", "transcript": "Hello!"},
    ]


def test_error_in_the_last_chunk_of_a_raw_stream(spans: Any, wire: Any) -> None:
    broken = _chunk({"content": ""}, "error", error={"code": 502, "message": "upstream gone"})
    client = wire.streams([_chunk({"content": "Hal"}), broken]).client(
        base_url="https://openrouter.ai/api/v1"
    )
    raw = client.chat.completions.with_streaming_response
    with raw.create(model="m", messages=[], stream=True) as response:
        assert "upstream gone" in "".join(response.iter_text())

    told = spans.one().attributes
    assert told["error.type"] == "502"
    assert told["gen_ai.response.finish_reasons"] == ("error",)
