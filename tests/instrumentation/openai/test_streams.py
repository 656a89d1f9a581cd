"""Streams over the real client, however they end: the span is told right, the app sees its own."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

import openai
import pytest
from opentelemetry import context as otel_context
from opentelemetry.trace import StatusCode


@pytest.fixture(autouse=True)
def _context_is_left_as_found() -> Any:
    before = otel_context.get_current()
    yield
    assert otel_context.get_current() == before


def _text(chunks: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def test_stream_asks_for_usage_and_hides_the_extra_chunk(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    stream = ask(wire.streams(samples.stream()).client(), stream=True)
    chunks = list(stream)

    assert type(stream) is openai.Stream
    assert wire.sent()["stream_options"] == {"include_usage": True}
    assert len(chunks) == 3
    assert _text(chunks) == "Hello"
    told = spans.one().attributes
    assert told["llm.token_count.total"] == 29
    assert told["llm.token_count.prompt_details.cache_read"] == 12
    assert told["gen_ai.response.finish_reasons"] == ("stop",)
    assert told["gen_ai.response.id"] == "chatcmpl-1"
    assert told["gen_ai.response.time_to_first_chunk"] > 0
    assert told["tollway.stream.outcome"] == "completed"
    assert json.loads(told["gen_ai.output.messages"])[0]["parts"][0]["content"] == "Hello"


def test_usage_chunk_is_left_to_an_app_that_asked(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    options = {"include_usage": True}
    chunks = list(ask(wire.streams(samples.stream()).client(), stream=True, stream_options=options))

    assert len(chunks) == 4
    assert chunks[-1].usage.total_tokens == 29
    assert spans.one().attributes["llm.token_count.total"] == 29


@pytest.mark.parametrize("switch", ["argument", "environment"])
def test_asking_for_usage_can_be_turned_off(
    record: Any, wire: Any, samples: Any, ask: Any, switch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if switch == "environment":
        monkeypatch.setenv("TOLLWAY_STREAM_USAGE", "false")
        record()
    else:
        record(stream_usage=False)
    list(ask(wire.streams(samples.stream()[:3]).client(), stream=True))

    assert "stream_options" not in wire.sent()


def test_hosts_known_to_refuse_are_not_asked(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    client = wire.streams(samples.stream()[:3]).client(base_url="https://api.mistral.ai/v1")
    list(ask(client, stream=True))

    assert "stream_options" not in wire.sent()


def test_unknown_host_that_refuses_is_asked_once_and_never_again(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    refusal = {"error": {"message": "Unrecognized request argument: stream_options"}}
    wire.says(refusal, status=400).streams(samples.stream()[:3])
    client = wire.client(base_url="https://refuses.example/v1")

    assert _text(ask(client, stream=True)) == "Hello"
    assert _text(ask(client, stream=True)) == "Hello"
    asked = ["stream_options" in wire.sent(i) for i in range(len(wire.requests))]
    assert asked == [True, False, False]
    assert [span.status.status_code for span in spans.all()] == [StatusCode.UNSET] * 2
    assert not any("tollway.usage_requested" in span.attributes for span in spans.all())


async def test_unknown_host_that_refuses_the_async_client(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    wire.says({"error": {}}, status=422).streams(samples.stream()[:3])
    client = wire.async_client(base_url="https://refuses-async.example/v1")

    assert _text([chunk async for chunk in await ask(client, stream=True)]) == "Hello"
    assert len(spans.all()) == 1


def test_error_of_the_app_s_own_making_stays_its_error(spans: Any, wire: Any, ask: Any) -> None:
    client = wire.says({"error": {}}, status=400).client(base_url="https://other.example/v1")
    with pytest.raises(openai.BadRequestError):
        ask(client, stream=True)

    assert spans.one().status.status_code is StatusCode.ERROR


def test_app_s_own_body_is_not_changed(spans: Any, wire: Any, samples: Any) -> None:
    body = {"model": "m", "messages": [], "stream": True}
    client = wire.streams(samples.stream()).client()
    stream = client.post(
        "/chat/completions",
        body=body,
        cast_to=openai.types.chat.ChatCompletionChunk,
        stream=True,
        stream_cls=openai.Stream[openai.types.chat.ChatCompletionChunk],
    )
    assert len(list(stream)) == 3
    assert "stream_options" not in body
    assert wire.sent()["stream_options"] == {"include_usage": True}


def test_stream_in_a_with_block_closed_early_is_no_error(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    with ask(wire.streams(samples.stream()).client(), stream=True) as stream:
        next(stream)
        assert spans.all() == ()

    span = spans.one()
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["tollway.stream.outcome"] == "closed_early"
    assert '"Hel"' in span.attributes["gen_ai.output.messages"]


def test_stream_closed_by_hand_keeps_the_usage_it_had(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    events = [samples.chunk({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": 1})]
    stream = ask(wire.streams([*events, *samples.stream()]).client(), stream=True)
    next(stream)
    stream.close()
    stream.close()

    assert spans.one().attributes["gen_ai.usage.input_tokens"] == 5


def test_stream_broken_off_and_collected(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    for _ in ask(wire.streams(samples.stream()).client(), stream=True):
        break
    gc.collect()

    span = spans.one()
    assert span.status.status_code is StatusCode.UNSET
    assert '"Hel"' in span.attributes["gen_ai.output.messages"]


def test_stream_never_iterated_and_collected(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    stream = ask(wire.streams(samples.stream()).client(), stream=True)
    del stream
    gc.collect()

    assert spans.one().attributes["tollway.stream.outcome"] == "abandoned"


def test_stream_failing_in_the_middle_is_an_error(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    broken = wire.http.ReadError("gone")
    stream = ask(wire.streams(samples.stream()[:1], error=broken).client(), stream=True)
    with pytest.raises((openai.APIConnectionError, wire.http.ReadError)):
        list(stream)

    span = spans.one()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] in {"APIConnectionError", "ReadError"}
    assert span.attributes["tollway.stream.outcome"] == "failed"
    assert '"Hel"' in span.attributes["gen_ai.output.messages"]


def test_error_event_in_a_stream_is_an_error(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    events = [samples.stream()[0], {"error": {"message": "overloaded"}}]
    with pytest.raises(openai.APIError):
        list(ask(wire.streams(events).client(), stream=True))

    assert spans.one().status.status_code is StatusCode.ERROR


def test_iterating_on_after_the_end_stays_over(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    stream = ask(wire.streams(samples.stream()).client(), stream=True)
    assert len(list(stream)) == 3
    assert list(stream) == []
    with pytest.raises(StopIteration):
        next(stream)

    assert len(spans.all()) == 1


def test_stream_keeps_headers_and_attributes(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    stream = ask(wire.streams(samples.stream()).client(), stream=True)

    assert isinstance(stream, openai.Stream)
    assert stream.response.headers["x-request-id"] == "req_1"
    list(stream)
    assert not {"close", "aclose"} & set(vars(stream.response))
    assert spans.one().attributes["openai.request_id"] == "req_1"


def test_latency_leaves_out_the_app_s_own_time(
    spans: Any, wire: Any, samples: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tollway.openai import call, start, stream

    clock_ns = [0]
    for module in (call, start, stream):
        monkeypatch.setattr(module, "perf_counter_ns", lambda: clock_ns[0])

    def slow_events(_: Any) -> Any:
        clock_ns[0] += 50_000_000
        return answer(_)

    answer = wire.streams(samples.stream()).answers.pop()
    wire.answers.append(slow_events)
    for _ in ask(wire.client(), stream=True):
        clock_ns[0] += 1_000_000_000

    told = spans.one().attributes
    assert told["llm.latency_ms"] == 50
    assert told["gen_ai.response.time_to_first_chunk"] == 0.05


def test_tool_calls_of_a_stream_are_put_together(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    def call(index: Any, arguments: str, **more: Any) -> Any:
        told = {"function": {"arguments": arguments, **more.pop("function", {})}, **more}
        return samples.chunk({"tool_calls": [{"index": index, **told}]})

    events = [
        call(0, "", id="a", type="function", function={"name": "refund"}),
        call(0, '{"eur"'),
        call(1, "{}", id="b", type="function", function={"name": "close"}),
        call(0, ": 5}"),
        samples.chunk({}, finish="tool_calls"),
    ]
    list(ask(wire.streams(events).client(), stream=True))

    told = spans.one().attributes
    assert told["llm.tool_call.names"] == ("refund", "close")
    assert json.loads(told["gen_ai.output.messages"])[0]["parts"] == [
        {"type": "tool_call", "id": "a", "name": "refund", "arguments": {"eur": 5}},
        {"type": "tool_call", "id": "b", "name": "close", "arguments": {}},
    ]


def test_stream_helper_gives_its_events(spans: Any, wire: Any, samples: Any) -> None:
    client = wire.streams(samples.stream()).client()
    chat = (
        client.chat.completions
        if hasattr(client.chat.completions, "stream")
        else (client.beta.chat.completions)
    )
    with chat.stream(model="gpt-4o-mini", messages=[{"role": "user", "content": "?"}]) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()

    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == "Hello"
    assert spans.one().attributes["llm.token_count.total"] == 29


async def test_async_stream_to_the_end(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    stream = await ask(wire.streams(samples.stream()).async_client(), stream=True)
    chunks = [chunk async for chunk in stream]

    assert type(stream) is openai.AsyncStream
    assert _text(chunks) == "Hello"
    assert spans.one().attributes["llm.token_count.total"] == 29
    assert not {"close", "aclose"} & set(vars(stream.response))


async def test_async_stream_closed_early(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    async with await ask(wire.streams(samples.stream()).async_client(), stream=True) as stream:
        async for _ in stream:
            break

    span = spans.one()
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["tollway.stream.outcome"] == "closed_early"


async def test_async_stream_failing_in_the_middle(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    broken = wire.http.ReadError("gone")
    client = wire.streams(samples.stream()[:1], error=broken).async_client()
    with pytest.raises((openai.APIConnectionError, wire.http.ReadError)):
        [chunk async for chunk in await ask(client, stream=True)]

    assert spans.one().status.status_code is StatusCode.ERROR


async def test_async_stream_cancelled_is_no_error(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    arrived = asyncio.Event()
    never = asyncio.Event()

    class Endless(wire.http.AsyncByteStream):
        async def __aiter__(self) -> Any:
            yield b"data: " + json.dumps(samples.stream()[0]).encode() + b"\n\n"
            arrived.set()
            await never.wait()

    head = {"content-type": "text/event-stream"}
    wire.answers.append(lambda _: wire.http.Response(200, headers=head, stream=Endless()))

    async def read() -> None:
        async for _ in await ask(wire.async_client(), stream=True):
            pass

    task = asyncio.create_task(read())
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gc.collect()

    span = spans.one()
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["tollway.stream.outcome"] in {"cancelled", "closed_early"}


async def test_async_stream_never_iterated(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    stream = await ask(wire.streams(samples.stream()).async_client(), stream=True)
    await stream.close()

    assert spans.one().attributes["tollway.stream.outcome"] == "closed_early"


def test_span_that_ends_in_a_collection_inside_the_sdk_waits(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    class Collecting(InMemorySpanExporter):
        def export(self, spans: Any) -> Any:
            with self._lock:
                _collect_inside_sdk()
            return super().export(spans)

    # A frame of the SDK's own, as when the collector runs while one of its locks is held.
    namespace: dict[str, Any] = {"gc": gc, "__name__": "opentelemetry.sdk.trace.export"}
    exec("def collect(): gc.collect()", namespace)
    _collect_inside_sdk = namespace["collect"]

    stream = ask(wire.streams(samples.stream()).client(), stream=True)
    del stream
    _collect_inside_sdk()
    assert spans.all() == ()
    assert spans.handle.flush()
    assert spans.one().attributes["tollway.stream.outcome"] == "abandoned"
