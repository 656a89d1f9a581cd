"""What no provider should answer, and some do: the app gets what it would have got without us."""

from __future__ import annotations

import copy
import gc
import json
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

import tollway

DEEP: Any = "bottom"
for _ in range(300):
    DEEP = {"d": [DEEP]}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def _message(**changes: Any) -> Any:
    return [{"index": 0, "message": {"role": "assistant", "content": "x", **changes}}]


ODD_CHATS: dict[str, Any] = {
    "choices null": {"choices": None},
    "choices missing": {"choices": ...},
    "choices a string": {"choices": "none"},
    "choices an object": {"choices": {"0": {}}},
    "choices of nulls": {"choices": [None, None]},
    "choices of strings": {"choices": ["a", "b"]},
    "choices empty": {"choices": []},
    "message null": {"choices": [{"index": 0, "message": None}]},
    "message a string": {"choices": [{"index": 0, "message": "hi"}]},
    "message a list": {"choices": [{"index": 0, "message": ["hi"]}]},
    "message missing": {"choices": [{"index": 0}]},
    "index a string": {"choices": [{"index": "zero", "message": {"content": "x"}}]},
    "content null": {"choices": _message(content=None)},
    "content parts": {"choices": _message(content=[{"type": "text", "text": "x"}, None, 3])},
    "content a number": {"choices": _message(content=42)},
    "content an object": {"choices": _message(content={"text": "x"})},
    "content with lone surrogates": {"choices": _message(content="\ud800 and \udfff")},
    "content with NUL": {"choices": _message(content="a\x00b")},
    "content huge": {"choices": _message(content="x" * 2_000_000)},
    "role a number": {"choices": _message(role=7)},
    "role null": {"choices": _message(role=None)},
    "refusal an object": {"choices": _message(refusal={"why": "no"})},
    "tool calls null": {"choices": _message(tool_calls=None)},
    "tool calls an object": {"choices": _message(tool_calls={"a": 1})},
    "tool calls of nulls": {"choices": _message(tool_calls=[None, 3, "x"])},
    "tool call without function": {"choices": _message(tool_calls=[{"id": "c"}])},
    "tool arguments an object": {
        "choices": _message(tool_calls=[{**CALL, "function": {"name": "f", "arguments": {"a": 1}}}])
    },
    "tool arguments null": {
        "choices": _message(tool_calls=[{**CALL, "function": {"name": "f", "arguments": None}}])
    },
    "tool arguments deep": {
        "choices": _message(
            tool_calls=[{**CALL, "function": {"name": "f", "arguments": json.dumps(DEEP)}}]
        )
    },
    "tool arguments deeper than the parser": {
        "choices": _message(
            tool_calls=[{**CALL, "function": {"name": "f", "arguments": "[" * 9000}}]
        )
    },
    "tool name a number": {
        "choices": _message(tool_calls=[{**CALL, "function": {"name": 5, "arguments": "{}"}}])
    },
    "tool of a custom kind": {
        "choices": _message(tool_calls=[{"id": "c", "type": "custom", "custom": {"input": "x"}}])
    },
    "function call a string": {"choices": _message(function_call="f")},
    "audio a string": {"choices": _message(audio="x")},
    "finish reason a number": {"choices": [{"finish_reason": 3, "message": {"content": "x"}}]},
    "finish reason an object": {"choices": [{"finish_reason": {}, "message": {"content": "x"}}]},
    "usage missing": {"usage": ...},
    "usage null": {"usage": None},
    "usage a string": {"usage": "much"},
    "usage a list": {"usage": [1, 2]},
    "usage of strings": {"usage": {"prompt_tokens": "20", "completion_tokens": "9"}},
    "usage of nulls": {"usage": {"prompt_tokens": None, "completion_tokens": None}},
    "usage negative": {"usage": {"prompt_tokens": -1, "completion_tokens": 5}},
    "usage past 64 bits": {"usage": {"prompt_tokens": 10**30, "completion_tokens": 1}},
    "usage details a number": {"usage": {"prompt_tokens": 1, "prompt_tokens_details": 5}},
    "usage details null": {"usage": {"prompt_tokens": 1, "prompt_tokens_details": None}},
    "usage details strings": {
        "usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": "many"}}
    },
    "model null": {"model": None},
    "model an object": {"model": {"name": "x"}},
    "id a number": {"id": 17},
    "service tier a list": {"service_tier": ["a"]},
    "error beside null choices": {"choices": None, "error": {"code": 429, "message": "slow"}},
    "error a string": {"choices": None, "error": "no"},
    "unknown fields": {"x": DEEP, "timings": {"a": 1.5}, "provider": "z"},
}
ODD_BODIES: dict[str, Any] = {
    "html": "<html>502</html>",
    "empty": b"",
    "json null": b"null",
    "json true": b"true",
    "json number": b"3",
    "json string": b'"ok"',
    "json list": b"[]",
    "json list of chats": b'[{"choices": []}]',
    "json object empty": b"{}",
    "cut json": b'{"id": "x", "choices": [',
    "not utf-8": b'{"id": "\xff\xfe"}',
    "error body under 200": b'{"error": {"message": "overloaded", "type": "server"}}',
    "NaN": b'{"choices": [], "usage": {"prompt_tokens": NaN}}',
}


def _chat(changes: dict[str, Any], samples: Any) -> dict[str, Any]:
    body = samples.chat(**changes)
    return {key: value for key, value in body.items() if value is not ...}


def _result(call: Callable[[], Any]) -> Any:
    """Return what an app gets of a call: a value in comparable form, or an error's type."""
    try:
        return _comparable(call())
    except Exception as exc:  # noqa: BLE001 - any error the client raises is its result
        return type(exc).__name__, str(exc)


def _comparable(value: Any) -> Any:
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    return type(value).__name__, repr(value)


def _same_with_and_without(call: Callable[[], Any]) -> list[Any]:
    """Assert that an app gets the same with and without the library; return the finished spans."""
    tollway.uninstrument()
    without = _result(call)
    spans = _record()
    with_us = _result(call)
    assert with_us == without
    if not spans.all():
        gc.collect()  # a client that gave up on a stream without closing it
    finished = list(spans.all())
    assert len(finished) == 1
    for span in finished:
        span.to_json()
    return finished


_record: Any = None


@pytest.fixture(autouse=True)
def _recorder(record: Any) -> None:
    global _record  # noqa: PLW0603 - the fixture, within reach of the helper above
    _record = record


@pytest.mark.parametrize("case", ODD_CHATS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_odd_chat(wire: Any, samples: Any, ask: Any, case: str) -> None:
    client = wire.says(_chat(ODD_CHATS[case], samples)).client()
    _same_with_and_without(lambda: ask(client))


@pytest.mark.parametrize("case", ODD_CHATS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_odd_chat_read_raw(wire: Any, samples: Any, case: str) -> None:
    client = wire.says(_chat(ODD_CHATS[case], samples)).client()
    raw = client.chat.completions.with_raw_response
    _same_with_and_without(lambda: raw.create(model="m", messages=[]).parse())


@pytest.mark.parametrize("case", ODD_BODIES)
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("api", ["chat", "responses", "embeddings", "moderations", "images"])
def test_odd_body(wire: Any, ask: Any, case: str, api: str) -> None:
    client = wire.says(ODD_BODIES[case]).client()
    calls: dict[str, Callable[[], Any]] = {
        "chat": lambda: ask(client),
        "responses": lambda: client.responses.create(model="m", input="x"),
        "embeddings": lambda: client.embeddings.create(
            model="m", input="x", encoding_format="float"
        ),
        "moderations": lambda: client.moderations.create(input="x"),
        "images": lambda: client.images.generate(prompt="x"),
    }
    _same_with_and_without(calls[api])


def test_html_and_errors_under_200_are_told_as_errors(wire: Any, ask: Any) -> None:
    for body in ("<html>", b'{"error": {"message": "overloaded", "type": "server"}}'):
        wire.answers.clear()
        client = wire.says(body).client()
        (span,) = _same_with_and_without(lambda client=client: ask(client))
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] in {"unexpected_response", "server"}


@pytest.mark.parametrize("case", ["choices null", "choices missing", "choices empty"])
def test_answer_without_choices_is_told_as_an_error(
    wire: Any, samples: Any, ask: Any, case: str
) -> None:
    body = {k: v for k, v in samples.chat(**ODD_CHATS[case]).items() if v is not ...}
    client = wire.says(body).client()
    (span,) = _same_with_and_without(lambda: ask(client))

    assert span.attributes["error.type"] == "unexpected_response"
    assert span.attributes["gen_ai.usage.input_tokens"] == 20


def test_body_that_is_itself_an_error_is_told_as_one(wire: Any, ask: Any) -> None:
    body = {"object": "error", "message": "too long", "type": "BadRequestError", "code": 40303}
    client = wire.says(body).client()
    (span,) = _same_with_and_without(lambda: ask(client))

    assert span.attributes["error.type"] == "40303"
    assert span.status.description == "too long"


@pytest.mark.parametrize("body", ["<html>", b'{"error": {"message": "overloaded"}}', b"", None])
def test_stream_of_nothing_is_told_as_an_error(wire: Any, ask: Any, body: Any) -> None:
    client = (wire.streams([]) if body is None else wire.says(body)).client()
    (span,) = _same_with_and_without(lambda: list(ask(client, stream=True)))

    assert span.attributes["error.type"] == "unexpected_response"
    assert span.status.status_code is StatusCode.ERROR


def _chunks(samples: Any, **changes: Any) -> list[Any]:
    return [{**samples.stream()[0], **changes}, *samples.stream()[1:3]]


ODD_CHUNKS: dict[str, Any] = {
    "choice without index": [{"delta": {"content": "a"}}],
    "choice index a string": [{"index": "0", "delta": {"content": "a"}}],
    "choices null": None,
    "choices missing": ...,
    "choices an object": {"delta": {}},
    "choice null": [None],
    "choice a string": ["x"],
    "delta null": [{"index": 0, "delta": None}],
    "delta missing": [{"index": 0}],
    "delta a string": [{"index": 0, "delta": "a"}],
    "delta content parts": [{"index": 0, "delta": {"content": [{"type": "text", "text": "a"}]}}],
    "delta content a number": [{"index": 0, "delta": {"content": 5}}],
    "delta role a number": [{"index": 0, "delta": {"role": 5}}],
    "tool call without index": [
        {"index": 0, "delta": {"tool_calls": [{"id": "a", "function": {"name": "f"}}]}}
    ],
    "tool call null": [{"index": 0, "delta": {"tool_calls": [None]}}],
    "tool calls an object": [{"index": 0, "delta": {"tool_calls": {"a": 1}}}],
    "tool arguments an object": [
        {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": {"a": 1}}}]}}
    ],
    "finish reason an object": [{"index": 0, "delta": {}, "finish_reason": {"a": 1}}],
}


@pytest.mark.parametrize("case", ODD_CHUNKS)
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("is_raw", [False, True])
def test_odd_chunk(wire: Any, samples: Any, ask: Any, case: str, is_raw: bool) -> None:
    events = _chunks(samples, choices=ODD_CHUNKS[case])
    if ODD_CHUNKS[case] is ...:
        del events[0]["choices"]
    client = wire.streams(events).client()
    raw = client.chat.completions.with_raw_response

    def read() -> Any:
        if is_raw:
            return list(raw.create(model="m", messages=[], stream=True).parse())
        return list(ask(client, stream=True))

    _same_with_and_without(read)


ODD_STREAMS: dict[str, list[bytes]] = {
    "nothing": [],
    "done at once": [b"data: [DONE]\n\n"],
    "html": [b"<html>no</html>"],
    "cut event": [b'data: {"id": "x", "cho'],
    "null event": [b"data: null\n\n"],
    "number event": [b"data: 3\n\n"],
    "list event": [b"data: []\n\n"],
    "string event": [b'data: "x"\n\n'],
    "comment only": [b": ping\n\n"],
    "bad json": [b"data: {bad}\n\n"],
    "usage a string": [b'data: {"choices": [{"index": 0, "delta": {}}], "usage": "9"}\n\n'],
    "usage only and odd": [
        b'data: {"choices": [{"index": 0}], "usage": {"prompt_tokens": "4"}}\n\n'
    ],
    "error event": [b'data: {"error": {"message": "no"}}\n\n'],
    "error a string": [b'data: {"error": "no"}\n\n'],
    "crlf": [b'data: {"choices": []}\r\n\r\ndata: [DONE]\r\n\r\n'],
    "event split everywhere": [bytes([c]) for c in b'data: {"choices": []}\n\ndata: [DONE]\n\n'],
    "unknown type": [b'event: later\ndata: {"type": "later", "x": [1]}\n\n'],
    "response null": [b'event: response.completed\ndata: {"type": "response.completed"}\n\n'],
    "response a string": [b'data: {"type": "response.completed", "response": "x"}\n\n'],
    "delta null": [b'data: {"type": "response.output_text.delta", "delta": null}\n\n'],
    "item null": [b'data: {"type": "response.output_item.done", "item": null}\n\n'],
}


@pytest.mark.parametrize("case", ODD_STREAMS)
@pytest.mark.parametrize("api", ["chat", "responses", "raw"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_odd_stream(wire: Any, ask: Any, case: str, api: str) -> None:
    client = wire.streams(ODD_STREAMS[case], done=False).client()
    raw = client.chat.completions.with_raw_response

    def read() -> Any:
        if api == "chat":
            return list(ask(client, stream=True))
        if api == "raw":
            return list(raw.create(model="m", messages=[], stream=True).parse())
        return list(client.responses.create(model="m", input="x", stream=True))

    _same_with_and_without(read)


@pytest.mark.parametrize("case", ODD_STREAMS)
@pytest.mark.filterwarnings("ignore::UserWarning")
async def test_odd_async_stream(wire: Any, ask: Any, record: Any, case: str) -> None:
    client = wire.streams(ODD_STREAMS[case], done=False).async_client()

    async def read() -> Any:
        try:
            return _comparable([chunk async for chunk in await ask(client, stream=True)])
        except Exception as exc:  # noqa: BLE001 - any error the client raises is its result
            return type(exc).__name__, str(exc)

    tollway.uninstrument()
    without = await read()
    spans = record()
    assert await read() == without
    assert len(spans.all()) == 1


def _item(**item: Any) -> Any:
    return {"output": [item]}


ODD_RESPONSES: dict[str, Any] = {
    "output null": {"output": None},
    "output a string": {"output": "x"},
    "output of nulls": {"output": [None, 3]},
    "item without type": _item(id="x"),
    "item of unknown type": _item(type="of_the_future", data={"a": [1]}),
    "item type a number": _item(type=4),
    "message content null": _item(type="message", role="assistant", content=None),
    "message content a string": _item(type="message", role="assistant", content="x"),
    "text a number": _item(type="message", content=[{"type": "output_text", "text": 5}]),
    "part null": _item(type="message", content=[None]),
    "function arguments an object": _item(type="function_call", name="f", arguments={"a": 1}),
    "function name null": _item(type="function_call", name=None, arguments=None),
    "reasoning summary null": _item(type="reasoning", summary=None),
    "reasoning summary of strings": _item(type="reasoning", summary=["x"]),
    "image call": _item(type="image_generation_call", result="QUJD" * 900),
    "status a number": {"status": 3},
    "status unknown": {"status": "paused"},
    "incomplete without reason": {"status": "incomplete", "incomplete_details": None},
    "failed without error": {"status": "failed", "error": None},
    "error a string": {"status": "failed", "error": "x"},
    "usage a string": {"usage": "x"},
    "usage null": {"usage": None},
    "conversation a number": {"conversation": 3},
    "id null": {"id": None},
}


@pytest.mark.parametrize("case", ODD_RESPONSES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_odd_response(wire: Any, case: str) -> None:
    body = {"id": "r", "object": "response", "status": "completed", "output": [], "model": "m"}
    client = wire.says({**body, **copy.deepcopy(ODD_RESPONSES[case])}).client()
    _same_with_and_without(lambda: client.responses.create(model="m", input="x"))


ODD_REQUESTS: dict[str, Any] = {
    "no messages": {"messages": []},
    "message a string": {"messages": ["hi"]},
    "message null": {"messages": [None]},
    "messages a string": {"messages": "hi"},
    "content a number": {"messages": [{"role": "user", "content": 5}]},
    "part of unknown type": {"messages": [{"role": "user", "content": [{"type": "smell"}]}]},
    "image without url": {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
    "lone surrogate": {"messages": [{"role": "user", "content": "ok \x00"}]},
    "model a number": {"model": 5},
    "temperature a string": {"temperature": "hot"},
    "stop a number": {"stop": 5},
    "tools a string": {"tools": "none"},
    "response format a string": {"response_format": "json"},
    "extra body": {"extra_body": {"messages": None, "top_k": 3}},
}


@pytest.mark.parametrize("case", ODD_REQUESTS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_odd_request(wire: Any, samples: Any, ask: Any, case: str) -> None:
    client = wire.says(samples.chat()).client()
    _same_with_and_without(lambda: ask(client, **copy.deepcopy(ODD_REQUESTS[case])))
