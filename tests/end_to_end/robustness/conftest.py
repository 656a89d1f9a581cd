"""Senders that note what became of every span; the processor is ../conftest.py's."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import aiohttp
import grpc
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

DEADLINE_S = 90.0
METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_TRACE = b"TRACE-OF-REQUEST"  # 16 bytes, replaced in every copy of a request


@dataclass
class Load:
    """Concurrent senders of both protocols; what they saw, by trace id."""

    spans: int
    content_bytes: int = 200
    pause_s: float = 0.0
    seed: int = 1
    acknowledged: dict[str, int] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    broken: int = 0
    is_over: bool = False

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._template = _request(self.spans, self.content_bytes, self._random)

    def request(self) -> tuple[str, bytes]:
        """A request of its own trace: the id, hex, and the bytes."""
        trace_id = self._random.randbytes(16)
        return trace_id.hex(), self._template.replace(_TRACE, trace_id)

    @property
    def answers(self) -> int:
        """Answers so far, and connections that broke."""
        return len(self.acknowledged) + self.refused.total() + self.broken + len(self.wrong)

    async def has(self, condition: Callable[[], object]) -> None:
        """Return once `condition` is true of what was sent."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110 (no event: the condition is the caller's)
                await asyncio.sleep(0.01)

    async def post(self, session: aiohttp.ClientSession, url: str) -> None:
        """Send one request over HTTP."""
        trace_id, body = self.request()
        headers = {"Content-Type": "application/x-protobuf"}
        try:
            async with session.post(
                f"{url}/v1/traces", data=io.BytesIO(body), headers=headers
            ) as answer:
                said = await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            self.broken += 1
            return
        if answer.status == 200 and not said:
            self.acknowledged[trace_id] = self.spans
        elif answer.status in (429, 503) and int(answer.headers["Retry-After"]) > 0:
            self.refused[f"HTTP {answer.status}"] += 1
        else:
            self.wrong.append(f"{answer.status} {said!r}")

    async def call(self, export: grpc.aio.UnaryUnaryMultiCallable) -> None:
        """Send one request over gRPC."""
        trace_id, body = self.request()
        try:
            said = await export(body, timeout=60)
        except grpc.aio.AioRpcError as error:
            self._note(error)
            return
        if said == b"":
            self.acknowledged[trace_id] = self.spans
        else:
            self.wrong.append(repr(said))

    def _note(self, error: grpc.aio.AioRpcError) -> None:
        details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
        if details is None and error.code() is grpc.StatusCode.UNAVAILABLE:
            self.broken += 1  # the connection, not an answer
        elif error.code() is grpc.StatusCode.CANCELLED:
            self.refused["CANCELLED"] += 1  # a server that stops; OTLP counts it as retryable
        elif details is not None and Status.FromString(details).details:
            self.refused[error.code().name] += 1
        else:
            self.wrong.append(f"{error.code().name} {error.details()}")

    @contextlib.asynccontextmanager
    async def on(self, addresses: dict[str, str], http: int, calls: int) -> AsyncIterator[None]:
        """Keep `http` and `calls` senders busy while the block runs; all have ended after it."""
        self.is_over = False
        options = (("grpc.max_send_message_length", -1),)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
            grpc.aio.insecure_channel(addresses["grpc"], options) as channel,
        ):
            export = channel.unary_unary(METHOD)
            tasks = [
                *(self._again(self.post, session, addresses["http"]) for _ in range(http)),
                *(self._again(self.call, export) for _ in range(calls)),
            ]
            running = [asyncio.create_task(task) for task in tasks]
            try:
                yield
            finally:
                self.is_over = True
                await asyncio.gather(*running)

    async def _again(self, send, *arguments) -> None:
        while not self.is_over:
            broken = self.broken
            await send(*arguments)
            # Nobody listens after a kill: do not spin until the block ends.
            await asyncio.sleep(0.05 if self.broken > broken else self.pause_s)


def _request(spans: int, content_bytes: int, source: random.Random) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    now_ns = time.time_ns()
    for number in range(spans):
        span = scope.spans.add(
            trace_id=_TRACE, span_id=(number + 1).to_bytes(8, "big"), name="chat gpt-4o", kind=3,
            start_time_unix_nano=now_ns - 10**9, end_time_unix_nano=now_ns,
        )  # fmt: skip
        text = source.randbytes(content_bytes // 2).hex()
        for key, value in {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o", "tollway.route": "robust", "tollway.variant": "v",
            "gen_ai.input.messages": json.dumps([{"role": "user", "content": text}]),
        }.items():  # fmt: skip
            span.attributes.add(key=key).value.string_value = value
        span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = 100
    return request.SerializeToString()


@pytest.fixture
def load() -> type[Load]:
    return Load
