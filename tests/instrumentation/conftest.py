"""Own the fixtures of the library's tests: recorded spans, and a provider played by a transport.

The client is the real one, over a mock transport of the HTTP library its version is built on.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tollway
from tollway import _guard

OPENAI_MAJOR = int(openai.__version__.partition(".")[0])
http: Any = importlib.import_module("httpx2" if OPENAI_MAJOR >= 3 else "httpx")


class Recorded:
    """The spans that a test recorded."""

    def __init__(self, provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
        self.provider = provider
        self._exporter = exporter
        self.handle: Any = None

    def all(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def one(self) -> ReadableSpan:
        """Return the only span there is."""
        spans = self.all()
        assert [span.name for span in spans] == [spans[0].name] if spans else False, spans
        return spans[0]

    def named(self, name: str) -> ReadableSpan:
        """Return the only span of a name."""
        found = [span for span in self.all() if span.name == name]
        assert len(found) == 1, [span.name for span in self.all()]
        return found[0]

    def clear(self) -> None:
        self._exporter.clear()


@pytest.fixture(autouse=True)
def _fresh_library() -> Iterator[None]:
    """Leave no patch and no warning already given to the next test."""
    _guard.failures.clear()
    yield
    tollway.uninstrument()


@pytest.fixture
def record() -> Callable[..., Recorded]:
    """Return a function that instruments onto a fresh provider: `record(**instrument_args)`."""

    def start(sampler: Any = None, **arguments: Any) -> Recorded:
        tollway.uninstrument()
        provider = TracerProvider(sampler=sampler)
        exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        recorded = Recorded(provider, exporter)
        arguments.setdefault("langchain", False)
        recorded.handle = tollway.instrument(tracer_provider=provider, **arguments)
        return recorded

    return start


@pytest.fixture
def spans(record: Callable[..., Recorded]) -> Recorded:
    """Return the recorded spans, with everything at its default and LangChain off."""
    return record()


class Bytes(http.SyncByteStream, http.AsyncByteStream):
    """A body that arrives piece by piece, and may break in the middle."""

    def __init__(self, pieces: Sequence[bytes], error: Exception | None = None) -> None:
        self._pieces = pieces
        self._error = error
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._error is not None:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.is_closed = True

    async def aclose(self) -> None:
        self.is_closed = True


class Wire:
    """A provider: answers each request with the next answer given, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.requests: list[Any] = []
        self.http = http

    def __call__(self, request: Any) -> Any:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    def sent(self, index: int = -1) -> Any:
        """Return the JSON body of a request."""
        return json.loads(self.requests[index].content)

    def says(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Wire:
        """Answer with JSON, or with bytes or text as they are."""
        content = body if isinstance(body, (bytes, str)) else json.dumps(body)
        kind = "application/json" if not isinstance(body, str) else "text/html"
        given = {"content-type": kind, "x-request-id": "req_1", **(headers or {})}
        self.answers.append(lambda _: http.Response(status, headers=given, content=content))
        return self

    def streams(
        self,
        events: Sequence[Any],
        *,
        error: Exception | None = None,
        done: bool = True,
        headers: dict[str, str] | None = None,
    ) -> Wire:
        """Answer with server-sent events, one piece each; error breaks the body off."""
        given = {"content-type": "text/event-stream", "x-request-id": "req_1", **(headers or {})}
        pieces = [_event(event) for event in events]
        if done and error is None:
            pieces.append(b"data: [DONE]\n\n")
        self.answers.append(
            lambda _: http.Response(200, headers=given, stream=Bytes(pieces, error))
        )
        return self

    def client(self, **arguments: Any) -> Any:
        kind = arguments.pop("kind", openai.OpenAI)
        given = {"api_key": "key", "max_retries": 0, **arguments}
        transport = http.MockTransport(self)
        return kind(http_client=http.Client(transport=transport), **given)

    def async_client(self, **arguments: Any) -> Any:
        kind = arguments.pop("kind", openai.AsyncOpenAI)
        given = {"api_key": "key", "max_retries": 0, **arguments}
        transport = http.MockTransport(self)
        return kind(http_client=http.AsyncClient(transport=transport), **given)


def _event(event: Any) -> bytes:
    if isinstance(event, bytes):
        return event
    if isinstance(event, dict) and str(event.get("type", "")).startswith("response."):
        return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
    return f"data: {json.dumps(event)}\n\n".encode()


@pytest.fixture
def wire() -> Wire:
    return Wire()


CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024-07-18",
    "service_tier": "default",
    "system_fingerprint": "fp_1",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello", "refusal": None},
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 12, "audio_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 1},
    },
}


def _chunk(delta: Any = None, **more: Any) -> dict[str, Any]:
    choice = {
        "index": more.pop("index", 0),
        "delta": delta,
        "finish_reason": more.pop("finish", None),
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [choice] if delta is not None else [],
        "usage": None,
        **more,
    }


STREAM = [
    _chunk({"role": "assistant", "content": "Hel"}),
    _chunk({"content": "lo"}),
    _chunk({}, finish="stop"),
    _chunk(None, usage=CHAT["usage"]),
]


class Samples:
    """Bodies of a provider that behaves; each call returns a fresh copy."""

    @staticmethod
    def chat(**changes: Any) -> dict[str, Any]:
        return {**json.loads(json.dumps(CHAT)), **changes}

    @staticmethod
    def stream() -> list[dict[str, Any]]:
        copy: list[dict[str, Any]] = json.loads(json.dumps(STREAM))
        return copy

    chunk = staticmethod(_chunk)


@pytest.fixture
def samples() -> Samples:
    return Samples()


MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def ask() -> Callable[..., Any]:
    """Return a function that asks a client the same small question: `ask(client, **more)`."""

    def call(client: Any, **more: Any) -> Any:
        given = {"model": "gpt-4o-mini", "messages": MESSAGES, **more}
        return client.chat.completions.create(**given)

    return call
