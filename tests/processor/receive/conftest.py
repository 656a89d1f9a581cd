"""Receivers on real sockets in front of a real embedded store that can be told to fail."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tollway_processor.ingest.batcher import Batcher
from tollway_processor.ingest.config import BatchConfig
from tollway_processor.ingest.counters import Counters
from tollway_processor.receive.auth import Tokens
from tollway_processor.receive.grpc import GrpcReceiver
from tollway_processor.receive.http import HttpReceiver
from tollway_processor.receive.intake import Intake
from tollway_processor.receive.limits import Limits, TlsConfig
from tollway_processor.store.client import Delivery, Refusal, Row, Signal
from tollway_processor.store.embedded import EmbeddedStore

SpanRequest = Callable[..., ExportTraceServiceRequest]


@dataclass
class FailingStore:
    """The real store behind a switch: raises what `failures` holds, waits while `gate` is clear."""

    real: EmbeddedStore
    failures: deque[Exception] = field(default_factory=deque)
    gate: threading.Event = field(default_factory=threading.Event)
    deliveries: list[Delivery] = field(default_factory=list)
    url: str = "chdb:test"

    def ingest(
        self, signal: Signal, batch: Sequence[Delivery], *, token: str, ingested_at_ns: int
    ) -> list[Refusal]:
        assert self.gate.wait(30), "the test never opened the gate"
        if self.failures:
            raise self.failures.popleft()
        refusals = self.real.ingest(signal, batch, token=token, ingested_at_ns=ingested_at_ns)
        self.deliveries.extend(batch)
        return refusals

    def span_rows(self, request: ExportTraceServiceRequest) -> list[Row]:
        """Return the stored rows of a request's first trace."""
        trace_id = request.resource_spans[0].scope_spans[0].spans[0].trace_id.hex()
        return self.real.rows(
            "SELECT * FROM spans FINAL WHERE trace_id = {trace_id:String} ORDER BY started_at",
            {"trace_id": trace_id},
        )


@dataclass(frozen=True)
class Receivers:
    """Both receivers and what stands behind them."""

    store: FailingStore
    batcher: Batcher
    intake: Intake
    counters: Counters
    http: HttpReceiver
    grpc: GrpcReceiver

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.port}"

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.grpc.port}"


Serve = Callable[..., contextlib.AbstractAsyncContextManager[Receivers]]


@pytest.fixture
def failing_store(store: EmbeddedStore) -> FailingStore:
    failing = FailingStore(store)
    failing.gate.set()
    return failing


@pytest.fixture
def serve(failing_store: FailingStore) -> Serve:
    """Return a context manager that runs both receivers with the given limits and tokens."""

    @contextlib.asynccontextmanager
    async def running(
        limits: Limits | None = None,
        tokens: Tokens | None = None,
        tls: TlsConfig | None = None,
        batch: BatchConfig | None = None,
    ) -> AsyncIterator[Receivers]:
        counters = Counters()
        batcher = Batcher(failing_store, batch, counters=counters)  # type: ignore[arg-type]  # only ingest
        intake = Intake(batcher, limits or Limits(), counters)
        allowed = tokens or Tokens({})
        receivers = Receivers(
            failing_store,
            batcher,
            intake,
            counters,
            HttpReceiver(intake, allowed, tls=tls),
            GrpcReceiver(intake, allowed, tls=tls),
        )
        await receivers.http.start("127.0.0.1:0")
        await receivers.grpc.start("127.0.0.1:0")
        try:
            yield receivers
        finally:
            failing_store.gate.set()
            await receivers.http.stop()
            await receivers.grpc.stop()
            await batcher.close()

    return running


@pytest.fixture
async def receivers(serve: Serve) -> AsyncIterator[Receivers]:
    async with serve() as running:
        yield running


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Return a wait for a condition, with a deadline."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110  # what is awaited sets no event
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def mutated() -> Callable[[bytes, random.Random], bytes]:
    """Return a spoiler of bodies."""

    def mutate(body: bytes, dice: random.Random) -> bytes:
        """Return a body with a few bytes changed, cut out, repeated or put in."""
        changed = bytearray(body)
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(changed)) if changed else 0
            kind = dice.randrange(5)
            if kind == 0 and changed:
                changed[at] = dice.randrange(256)
            elif kind == 1:
                del changed[at : at + dice.randint(1, 20)]
            elif kind == 2:
                changed[at:at] = changed[at : at + dice.randint(1, 60)]
            elif kind == 3:
                changed[at:at] = dice.randbytes(dice.randint(1, 6))
            else:
                del changed[at:]
        return bytes(changed)

    return mutate


@pytest.fixture
def span_request() -> SpanRequest:
    """Return a maker of requests: some spans of one new trace, each an LLM call."""

    def make(spans: int = 1, content: str = "Where is my refund?") -> ExportTraceServiceRequest:
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        _put(resource.resource.attributes, "service.name", "support-agent")
        scope = resource.scope_spans.add()
        trace_id, now_ns = os.urandom(16), time.time_ns()
        for index in range(spans):
            span = scope.spans.add(
                trace_id=trace_id,
                span_id=os.urandom(8),
                name="chat gpt-4o",
                kind=Span.SPAN_KIND_CLIENT,
                start_time_unix_nano=now_ns + index,
                end_time_unix_nano=now_ns + index + 5_000_000,
            )
            _put(span.attributes, "gen_ai.operation.name", "chat")
            _put(span.attributes, "gen_ai.request.model", "gpt-4o")
            _put(span.attributes, "gen_ai.usage.input_tokens", 100 + index)
            _put(span.attributes, "gen_ai.usage.output_tokens", 10)
            _put(span.attributes, "tollway.route", "refunds")
            _put(span.attributes, "input.value", content)
        return request

    return make


def _put(attributes: object, key: str, value: str | int) -> None:
    attribute = attributes.add(key=key)  # type: ignore[attr-defined]  # a repeated field
    if isinstance(value, str):
        attribute.value.string_value = value
    else:
        attribute.value.int_value = value
