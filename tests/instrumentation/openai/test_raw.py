"""`with_raw_response` and `with_streaming_response`, streamed or not: the client's own objects."""

from __future__ import annotations

import gc
import json
from typing import Any

import openai
import pytest
from opentelemetry.trace import StatusCode

ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}


def test_raw_response(spans: Any, wire: Any, samples: Any) -> None:
    client = wire.says(samples.chat()).client()
    raw = client.chat.completions.with_raw_response.create(**ASK)

    assert raw.headers["x-request-id"] == "req_1"
    assert raw.parse().choices[0].message.content == "Hello"
    told = spans.one().attributes
    assert told["llm.token_count.total"] == 29
    assert told["openai.request_id"] == "req_1"


async def test_async_raw_response(spans: Any, wire: Any, samples: Any) -> None:
    client = wire.says(samples.chat()).async_client()
    raw = await client.chat.completions.with_raw_response.create(**ASK)

    assert raw.parse().id == "chatcmpl-1"
    assert spans.one().attributes["llm.token_count.total"] == 29


def test_raw_stream_hides_the_usage_chunk_too(spans: Any, wire: Any, samples: Any) -> None:
    client = wire.streams(samples.stream()).client()
    raw = client.chat.completions.with_raw_response.create(**ASK, stream=True)
    stream = raw.parse()

    assert type(stream) is openai.Stream
    assert len(list(stream)) == 3
    told = spans.one().attributes
    assert told["llm.token_count.total"] == 29
    assert told["gen_ai.response.time_to_first_chunk"] > 0
    assert not {"close", "aclose", "iter_bytes", "aiter_bytes"} & set(vars(raw.http_response))


async def test_async_raw_stream(spans: Any, wire: Any, samples: Any) -> None:
    client = wire.streams(samples.stream()).async_client()
    raw = await client.chat.completions.with_raw_response.create(**ASK, stream=True)

    assert len([chunk async for chunk in raw.parse()]) == 3
    assert spans.one().attributes["llm.token_count.total"] == 29


def test_raw_stream_read_to_its_end_is_complete(spans: Any, wire: Any, samples: Any) -> None:
    client = wire.streams([b": PROCESSING\n\n", *samples.stream(), b": bye\n\n"]).client()
    raw = client.chat.completions.with_raw_response.create(**ASK, stream=True)
    list(raw.parse())

    assert spans.one().attributes["tollway.stream.outcome"] == "completed"


def test_comments_of_a_raw_stream_are_no_first_chunk(spans: Any, wire: Any) -> None:
    client = wire.streams([b": PROCESSING\n\n"]).client()
    with client.chat.completions.with_streaming_response.create(**ASK, stream=True) as response:
        list(response.iter_lines())

    span = spans.one()
    assert "gen_ai.response.time_to_first_chunk" not in span.attributes
    assert span.attributes["error.type"] == "unexpected_response"


def test_event_in_many_pieces_is_read_once(spans: Any, wire: Any, samples: Any) -> None:
    text = "word " * 20_000
    first, *rest = samples.stream()
    first["choices"][0]["delta"]["content"] = text
    event = f"data: {json.dumps(first)}\r\n\r\n".encode()
    pieces = [event[at : at + 1000] for at in range(0, len(event), 1000)]
    client = wire.streams([*pieces, *rest]).client()
    with client.chat.completions.with_streaming_response.create(**ASK, stream=True) as response:
        assert text in "".join(response.iter_text())

    told = spans.one().attributes
    assert told["llm.token_count.total"] == 29
    assert "[cut " in told["gen_ai.output.messages"]


def test_raw_stream_never_parsed_and_collected(spans: Any, wire: Any, samples: Any) -> None:
    client = wire.streams(samples.stream()).client()
    raw = client.chat.completions.with_raw_response.create(**ASK, stream=True)
    del raw
    wire.answers.clear()
    gc.collect()

    assert spans.one().attributes["tollway.stream.outcome"] == "abandoned"


def test_streaming_response_parsed(spans: Any, wire: Any, samples: Any) -> None:
    client = wire.says(samples.chat()).client()
    with client.chat.completions.with_streaming_response.create(**ASK) as response:
        assert response.parse().choices[0].message.content == "Hello"

    assert spans.one().attributes["llm.token_count.total"] == 29


def test_streaming_response_read_by_lines(spans: Any, wire: Any, samples: Any) -> None:
    client = wire.streams(samples.stream()).client()
    with client.chat.completions.with_streaming_response.create(**ASK, stream=True) as response:
        lines = [line for line in response.iter_lines() if line]

    assert len(lines) == 4
    assert lines[-1] == "data: [DONE]"
    assert json.loads(lines[0][6:])["choices"][0]["delta"]["content"] == "Hel"
    assert spans.one().attributes["llm.token_count.total"] == 29


def test_streaming_response_left_early(spans: Any, wire: Any, samples: Any) -> None:
    client = wire.streams(samples.stream()).client()
    with client.chat.completions.with_streaming_response.create(**ASK, stream=True) as response:
        next(response.iter_bytes())

    span = spans.one()
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["tollway.stream.outcome"] == "closed_early"


async def test_async_streaming_response(spans: Any, wire: Any, samples: Any) -> None:
    client = wire.streams(samples.stream()).async_client()
    manager = client.chat.completions.with_streaming_response.create(**ASK, stream=True)
    async with manager as response:
        body = b"".join([piece async for piece in response.iter_bytes()])

    assert body.count(b"data: ") == 4
    assert spans.one().attributes["llm.token_count.total"] == 29


def test_bytes_of_a_stream_are_exact_where_nothing_is_hidden(
    record: Any, wire: Any, samples: Any
) -> None:
    spans = record(stream_usage=False)
    odd = [b"data: {}\r\n\r\ndata: [", b"]\n\n: comment\n\nevent: x\n", b'data: {"a": 1}\n\nrest']
    client = wire.streams(odd, done=False).client()
    with client.chat.completions.with_streaming_response.create(**ASK, stream=True) as response:
        assert b"".join(response.iter_bytes()) == b"".join(odd)

    assert spans.one().status.status_code is StatusCode.UNSET


def test_bytes_are_exact_but_for_the_hidden_event(spans: Any, wire: Any, samples: Any) -> None:
    own = b"data: {}\r\n\r\n: comment\n\nevent: x\ndata: 1\n\n"
    extra = b'data: {"choices": [], "usage": {"prompt_tokens": 4}}\n\n'
    pieces = [own[:7], own[7:], extra[:20], extra[20:] + b"data: [DONE]\n\ntail"]
    client = wire.streams(pieces, done=False).client()
    with client.chat.completions.with_streaming_response.create(**ASK, stream=True) as response:
        assert b"".join(response.iter_bytes()) == own + b"data: [DONE]\n\ntail"

    assert spans.one().attributes["gen_ai.usage.input_tokens"] == 4


def test_raw_stream_failing_in_the_middle(spans: Any, wire: Any, samples: Any) -> None:
    broken = wire.http.ReadError("gone")
    client = wire.streams(samples.stream()[:1], error=broken).client()
    raw = client.chat.completions.with_raw_response.create(**ASK, stream=True)
    with pytest.raises((openai.APIConnectionError, wire.http.ReadError)):
        list(raw.parse())

    assert spans.one().status.status_code is StatusCode.ERROR


def test_error_event_of_a_raw_stream_is_told(spans: Any, wire: Any, samples: Any) -> None:
    events = [samples.stream()[0], {"error": {"message": "overloaded", "code": "busy"}}]
    client = wire.streams(events).client()
    with client.chat.completions.with_streaming_response.create(**ASK, stream=True) as response:
        list(response.iter_lines())

    span = spans.one()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "busy"
    assert '"Hel"' in span.attributes["gen_ai.output.messages"]
