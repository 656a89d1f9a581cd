"""The scripted provider of the golden conversation: what api.openai.com would have answered.

An HTTP transport for the real client; what the app asks is conversation.py's.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from typing import Any

import openai

# The client of version 3 is built on a library of another name, with the same interface.
http: Any = importlib.import_module(
    "httpx2" if int(openai.__version__.split(".")[0]) >= 3 else "httpx"
)

MODEL = "gpt-5-mini-2025-08-07"
EMBEDDING_MODEL = "text-embedding-3-small"
ANSWER = "You have 30 days to return it."
FINAL = "Order O-1001 ships on Monday."
TOOL = "get_order"
ARGUMENTS = '{"order_id": "O-1001"}'
USAGE = {
    "prompt_tokens": 1200, "completion_tokens": 90, "total_tokens": 1290,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 64, "audio_tokens": 0},
}  # fmt: skip


class Provider:
    """Answers each request by what it holds; ids count up."""

    def __init__(self) -> None:
        self._calls = 0

    def client(self) -> Any:
        """Return an HTTP client for the provider's own one."""
        return http.Client(transport=http.MockTransport(self))

    def __call__(self, request: Any) -> Any:
        body = json.loads(request.read())
        if request.url.path.endswith("/embeddings"):
            return http.Response(200, json=_embedding(body))
        self._calls += 1
        head = {
            "id": f"chatcmpl-golden-{self._calls}", "object": "chat.completion",
            "created": 1_790_000_000, "model": MODEL, "service_tier": "default",
        }  # fmt: skip
        message, reason = _message(body, self._calls)
        if body.get("stream"):
            events = _events(head, message, reason)
            text = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
            headers = {"content-type": "text/event-stream"}
            return http.Response(200, content=(text + "data: [DONE]\n\n").encode(), headers=headers)
        choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
        return http.Response(200, json={**head, "choices": [choice], "usage": USAGE})


def _message(body: dict[str, Any], number: int) -> tuple[dict[str, Any], str]:
    said = body["messages"]
    if body.get("tools") and said[-1]["role"] != "tool":
        function = {"name": TOOL, "arguments": ARGUMENTS}
        call = {"id": f"call_{number}", "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
    text = FINAL if said[-1]["role"] == "tool" else ANSWER
    return {"role": "assistant", "content": text}, "stop"


def _events(head: dict[str, Any], message: dict[str, Any], reason: str) -> Iterator[dict[str, Any]]:
    head = {**head, "object": "chat.completion.chunk"}
    words = message["content"].split(" ")
    pieces = [word if index == 0 else f" {word}" for index, word in enumerate(words)]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in pieces]
    for delta in deltas:
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    yield {**head, "choices": [], "usage": USAGE}


def _embedding(body: dict[str, Any]) -> dict[str, Any]:
    vector: Any = [0.25, -0.5]
    if body.get("encoding_format") == "base64":
        vector = "AACAPgAAAL8="
    return {
        "object": "list", "model": EMBEDDING_MODEL,
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "usage": {"prompt_tokens": 6, "total_tokens": 6},
    }  # fmt: skip
