"""A local HTTP stand-in for the OpenAI API: chat completions, whole and streamed, over aiohttp.

Speaks the wire format and keeps the answers' pace; what is said and charged is answers.py's.
Run as `python -m tollway_processor.demo.stub --port 0` it prints its bound port as one line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from collections.abc import Iterator
from typing import Any, Final

from aiohttp import web

from tollway_processor.demo.answers import SNAPSHOTS, Answer, UnknownModelError, answer

CHUNK_CHARACTERS: Final = 48
FIRST_CHUNK_SHARE: Final = 0.4
"""Share of an answer's latency that passes before the first chunk of a stream."""


def make_app() -> web.Application:
    """Return the stub as an aiohttp application, for a test or for `main`."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", _chat_completions)
    app.router.add_get("/v1/models", _models)
    return app


async def _models(_request: web.Request) -> web.Response:
    models = [{"id": name, "object": "model", "owned_by": "openai"} for name in SNAPSHOTS]
    return web.json_response({"object": "list", "data": models})


async def _chat_completions(request: web.Request) -> web.StreamResponse:
    try:
        body = await request.json()
        said = answer(body)
    except UnknownModelError as unknown:
        return _refusal(404, f"The model `{unknown}` does not exist.", "model_not_found")
    except (ValueError, KeyError, TypeError, AttributeError) as bad:
        return _refusal(400, f"The body is no chat completion request: {bad!r}.", "invalid_body")
    if body.get("stream"):
        include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        return await _stream(request, said, include_usage=include_usage)
    await asyncio.sleep(said.latency_ms / 1e3)
    return web.json_response(_completion(said))


def _refusal(status: int, message: str, code: str) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return web.json_response({"error": error}, status=status)


async def _stream(request: web.Request, said: Answer, *, include_usage: bool) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await asyncio.sleep(said.latency_ms / 1e3 * FIRST_CHUNK_SHARE)
    await response.prepare(request)
    chunks = list(_chunks(said, include_usage=include_usage))
    pause_s = said.latency_ms / 1e3 * (1 - FIRST_CHUNK_SHARE) / len(chunks)
    for chunk in chunks:
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await asyncio.sleep(pause_s)
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _completion(said: Answer) -> dict[str, Any]:
    """Return `said` as the body of an answer that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": said.text, "refusal": None}
    if said.tool_calls:
        message["tool_calls"] = [_tool_call(said, index) for index in range(len(said.tool_calls))]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": said.finish_reason,
    }
    return {**_head(said, "chat.completion"), "choices": [choice], "usage": _usage(said)}


def _chunks(said: Answer, *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """Yield `said` as chunks: role, text or tool calls in pieces, the reason, the usage."""
    yield _chunk(said, {"role": "assistant", "content": "" if said.text else None})
    for piece in _pieces(said.text or ""):
        yield _chunk(said, {"content": piece})
    for index, call in enumerate(said.tool_calls):
        opening = _tool_call(said, index)
        opening["function"]["arguments"] = ""
        yield _chunk(said, {"tool_calls": [{"index": index, **opening}]})
        for piece in _pieces(call.arguments):
            more = {"index": index, "function": {"arguments": piece}}
            yield _chunk(said, {"tool_calls": [more]})
    yield _chunk(said, {}, said.finish_reason)
    if include_usage:
        yield {**_head(said, "chat.completion.chunk"), "choices": [], "usage": _usage(said)}


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), CHUNK_CHARACTERS):
        yield text[start : start + CHUNK_CHARACTERS]


def _chunk(said: Answer, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return {**_head(said, "chat.completion.chunk"), "choices": [choice]}


def _head(said: Answer, kind: str) -> dict[str, Any]:
    return {
        "id": said.id,
        "object": kind,
        "created": int(time.time()),
        "model": said.model,
        "service_tier": "default",
        "system_fingerprint": "fp_stub",
    }


def _tool_call(said: Answer, index: int) -> dict[str, Any]:
    call = said.tool_calls[index]
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _usage(said: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": said.completion_tokens,
        "total_tokens": said.prompt_tokens + said.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": said.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


async def _serve(port: int) -> None:
    runner = web.AppRunner(make_app(), access_log=None, handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    await runner.cleanup()


def main() -> None:
    """Serve on 127.0.0.1 until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="A local stand-in for the OpenAI API.")
    parser.add_argument("--port", type=int, default=0, help="port to bind; 0 takes a free one")
    asyncio.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
