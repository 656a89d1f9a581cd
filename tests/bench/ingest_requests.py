"""Own the OTLP requests that the ingest benchmark sends: realistic LLM spans, prepared once.

A template is sent many times; `Template.fresh` gives each copy ids and times of its own, so that
every span stored is a new one.
"""

from __future__ import annotations

import json
import pickle
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

SPANS = 512  # of one request, the default batch of the SDKs' exporter
SPANS_A_TRACE = 4
TEMPLATES = 24
SETS = ("otel", "mixed")
_TRACE_MARK, _SPAN_MARK, _PARENT_MARK = b"\xf1TRC", b"\xf2SPN", b"\xf3PAR"
_TIME_MARK = 0xF4F5_F6F7_0000_0000
_ANSWER_MARK, _ANSWER_DIGITS = b"chatcmpl-", 35
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_MODELS = (
    ("openai", "gpt-4o", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("anthropic", "claude-haiku-4-5", "claude-haiku-4-5-20251001"),
)
_ROUTES = ("refunds", "search.rerank", "faq", "summaries", "triage", "extract")

Attributes = dict[str, Any]


class Template(NamedTuple):
    """One encoded request and where its ids and times stand, offsets in the order of its spans."""

    body: bytes
    trace_at: np.ndarray[Any, np.dtype[np.int64]]
    span_at: np.ndarray[Any, np.dtype[np.int64]]
    parent_at: np.ndarray[Any, np.dtype[np.int64]]
    time_at: np.ndarray[Any, np.dtype[np.int64]]
    answer_at: np.ndarray[Any, np.dtype[np.int64]]

    def fresh(self, rng: np.random.Generator) -> bytes:
        """Return the request with random ids, and spans that end about now."""
        copy = np.frombuffer(self.body, np.uint8).copy()
        count = len(self.span_at)
        traces = rng.integers(1, 256, (count // SPANS_A_TRACE, 16), np.uint8)
        spans = rng.integers(1, 256, (count, 8), np.uint8)
        roots = np.arange(count) // SPANS_A_TRACE * SPANS_A_TRACE
        copy[_places(self.trace_at, 16)] = np.repeat(traces, SPANS_A_TRACE, axis=0)
        copy[_places(self.span_at, 8)] = spans
        is_child = roots != np.arange(count)
        copy[_places(self.parent_at, 8)] = spans[roots[is_child]]
        ends = time.time_ns() - rng.integers(0, 2 * 10**9, count)
        starts = ends - rng.integers(2 * 10**8, 8 * 10**9, count)
        times = np.stack([starts, ends], axis=1).reshape(-1).astype("<u8")
        copy[_places(self.time_at, 8)] = times.view(np.uint8).reshape(-1, 8)
        digits = rng.integers(0, 16, (len(self.answer_at), _ANSWER_DIGITS), np.uint8)
        copy[_places(self.answer_at + len(_ANSWER_MARK), _ANSWER_DIGITS)] = _HEX[digits]
        return copy.tobytes()


def _places(starts: np.ndarray[Any, Any], width: int) -> np.ndarray[Any, Any]:
    return starts[:, None] + np.arange(width)


def templates(name: str, seed: int = 7) -> list[Template]:
    """Return the templates of the set "otel" or "mixed"."""
    rng = random.Random(seed)
    text = _Text(rng)
    return [_template(name, rng, text) for _ in range(TEMPLATES)]


def save(name: str, path: Path) -> int:
    """Write a set's templates for the load processes; return the mean bytes of a span."""
    made = templates(name)
    path.write_bytes(pickle.dumps([tuple(template) for template in made]))
    return sum(len(template.body) for template in made) // (SPANS * len(made))


def endless(path: Path, seed: int) -> Iterator[bytes]:
    """Yield requests made of saved templates, each with ids of its own."""
    saved = [Template(*parts) for parts in pickle.loads(path.read_bytes())]
    rng = np.random.default_rng(seed)
    while True:
        for template in saved:
            yield template.fresh(rng)


class _Text:
    """Prose of words that repeat as those of a language do."""

    def __init__(self, rng: random.Random) -> None:
        letters = "etaoinshrdlucmfwypvbgk"
        self._rng = rng
        self._words = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(6000)]
        self._weights = [1 / (rank + 3) for rank in range(len(self._words))]

    def __call__(self, characters: int) -> str:
        words = self._rng.choices(self._words, self._weights, k=characters // 6 + 1)
        return " ".join(words)[:characters]


def _template(name: str, rng: random.Random, text: _Text) -> Template:
    kinds = [_otel] if name == "otel" else [_otel, _openinference, _openllmetry, _traceai]
    request = ExportTraceServiceRequest()
    for kind in kinds:
        group = request.resource_spans.add()
        group.resource.attributes.extend(_encoded(_resource()))
        scope = group.scope_spans.add()
        scope.scope.name, scope.scope.version = f"bench.{kind.__name__.strip('_')}", "1.4.0"
        for number in range(SPANS // len(kinds)):
            span = scope.spans.add()
            provider, asked, answered = rng.choice(_MODELS)
            span.trace_id = _TRACE_MARK + bytes(12)
            span.span_id = _SPAN_MARK + bytes(4)
            span.parent_span_id = _PARENT_MARK + bytes(4) if number % SPANS_A_TRACE else b""
            span.name, span.kind = f"chat {asked}", 3
            span.start_time_unix_nano = span.end_time_unix_nano = _TIME_MARK
            span.status.code = 2 if rng.random() < 0.02 else 0
            call = _Call(provider, asked, answered, rng, text)
            span.attributes.extend(_encoded(kind(call)))
    body = request.SerializeToString()
    marks = (_TRACE_MARK, _SPAN_MARK, _PARENT_MARK, _TIME_MARK.to_bytes(8, "little"), _ANSWER_MARK)
    return Template(body, *(_found(body, mark) for mark in marks))


def _found(body: bytes, mark: bytes) -> np.ndarray[Any, np.dtype[np.int64]]:
    places, at = [], body.find(mark)
    while at >= 0:
        places.append(at)
        at = body.find(mark, at + len(mark))
    return np.array(places, np.int64)


def _resource() -> Attributes:
    return {
        "service.name": "support-bot",
        "service.version": "2026.11.3",
        "deployment.environment.name": "production",
        "host.name": "worker-7.internal.example",
        "process.pid": 4711,
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.45.0",
    }


class _Call:
    """What one model call said, before a convention spells it."""

    def __init__(self, provider: str, asked: str, answered: str, rng: random.Random, text: _Text):
        self.provider, self.asked, self.answered, self.rng = provider, asked, answered, rng
        self.question = text(rng.randint(700, 1400))
        self.answer = text(rng.randint(250, 550))
        self.input_tokens = rng.randint(150, 4000)
        self.output_tokens = rng.randint(20, 900)
        self.cached_tokens = rng.choice([0, 0, self.input_tokens // 2])
        self.response_id = f"{_ANSWER_MARK.decode()}{rng.getrandbits(140):0{_ANSWER_DIGITS}x}"
        self.session_id = f"s-{rng.getrandbits(64):016x}"
        self.user_id = f"u-{rng.randint(1, 50_000)}"
        self.route = rng.choice(_ROUTES)
        self.reason = rng.choice(["stop", "stop", "stop", "tool_calls", "length"])

    def some(self, attributes: Attributes, most: int) -> Attributes:
        """Return the first attributes and up to `most` of the optional ones, told by value."""
        chosen = self.rng.sample(sorted(_OPTIONAL), self.rng.randint(0, most))
        return attributes | {key: _OPTIONAL[key] for key in chosen}


_OPTIONAL: Attributes = {
    "gen_ai.request.max_tokens": 1024,
    "gen_ai.request.top_p": 0.95,
    "gen_ai.request.frequency_penalty": 0.1,
    "server.port": 443,
    "app.tenant": "acme",
    "app.release.channel": "stable",
}


def _messages(role: str, content: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": content}]}])


def _otel(call: _Call) -> Attributes:
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": call.provider,
        "gen_ai.request.model": call.asked,
        "gen_ai.response.model": call.answered,
        "gen_ai.response.id": call.response_id,
        "gen_ai.usage.input_tokens": call.input_tokens,
        "gen_ai.usage.output_tokens": call.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": call.cached_tokens,
        "gen_ai.response.finish_reasons": [call.reason],
        "gen_ai.request.temperature": 0.2,
        "gen_ai.conversation.id": call.session_id,
        "server.address": f"api.{call.provider}.com",
        "tollway.route": call.route,
        "gen_ai.input.messages": _messages("user", call.question),
        "gen_ai.output.messages": _messages("assistant", call.answer),
    }
    return call.some(told, 5)


def _openinference(call: _Call) -> Attributes:
    told = {
        "openinference.span.kind": "LLM",
        "llm.system": call.provider,
        "llm.provider": call.provider,
        "llm.model_name": call.answered,
        "llm.token_count.prompt": call.input_tokens,
        "llm.token_count.completion": call.output_tokens,
        "llm.token_count.total": call.input_tokens + call.output_tokens,
        "llm.token_count.prompt_details.cache_read": call.cached_tokens,
        "llm.invocation_parameters": '{"temperature": 0.2, "max_tokens": 1024}',
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": call.question,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": call.answer,
        "input.value": _messages("user", call.question),
        "input.mime_type": "application/json",
        "output.value": _messages("assistant", call.answer),
        "output.mime_type": "application/json",
        "session.id": call.session_id,
        "user.id": call.user_id,
    }
    return call.some(told, 1)


def _openllmetry(call: _Call) -> Attributes:
    told = {
        "llm.request.type": "chat",
        "gen_ai.system": call.provider,
        "gen_ai.request.model": call.asked,
        "gen_ai.response.model": call.answered,
        "gen_ai.response.id": call.response_id,
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": call.question,
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": call.answer,
        "gen_ai.completion.0.finish_reason": call.reason,
        "gen_ai.usage.prompt_tokens": call.input_tokens,
        "gen_ai.usage.completion_tokens": call.output_tokens,
        "llm.usage.total_tokens": call.input_tokens + call.output_tokens,
        "gen_ai.usage.cache_read_input_tokens": call.cached_tokens,
        "traceloop.workflow.name": call.route,
        "traceloop.association.properties.user_id": call.user_id,
        "llm.is_streaming": False,
    }
    return call.some(told, 3)


def _traceai(call: _Call) -> Attributes:
    told = {
        "gen_ai.span.kind": "LLM",
        "gen_ai.provider.name": call.provider,
        "gen_ai.request.model": call.asked,
        "gen_ai.usage.input_tokens": call.input_tokens,
        "gen_ai.usage.output_tokens": call.output_tokens,
        "gen_ai.usage.total_tokens": call.input_tokens + call.output_tokens,
        "gen_ai.input.messages.0.message.role": "user",
        "gen_ai.input.messages.0.message.content": call.question,
        "gen_ai.output.messages.0.message.role": "assistant",
        "gen_ai.output.messages.0.message.content": call.answer,
        "input.value": call.question,
        "output.value": call.answer,
        "session.id": call.session_id,
        "user.id": call.user_id,
        "gen_ai.request.parameters": '{"temperature": 0.2}',
    }
    return call.some(told, 4)


def _encoded(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: object) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_value(item) for item in value]))
    return AnyValue(string_value=str(value))
