"""A processor in a process of its own, and senders that note what became of every span."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import grpc
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tollway_processor.door.client import DoorClient

DEADLINE_S = 90.0
METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_TRACE = b"TRACE-OF-REQUEST"  # 16 bytes, replaced in every copy of a request


class Processor:
    """`tollway serve` on a folder, on free ports."""

    def __init__(self, folder: Path, toml: str, log: Path) -> None:
        self.folder = folder
        self.log = log
        config = log.with_suffix(".toml")
        config.write_text(toml)
        with open(log, "ab") as errors:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "tollway_processor.cli", "serve",
                    "--store", f"chdb:{folder}", "--config", str(config),
                    "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--sql", "127.0.0.1:0",
                ],
                stderr=errors,
            )  # fmt: skip
        self.addresses: dict[str, str] = {}

    def said(self) -> str:
        """What it logged."""
        return self.log.read_text(errors="replace")

    def wait_until_open(self) -> None:
        """Wait for its addresses."""
        self.addresses = until(self._published, f"the processor open: {self.said()}")

    def _published(self) -> dict[str, str] | None:
        assert self.process.poll() is None, self.said()
        try:
            told = json.loads((self.folder / "tollway.lock").read_text())
        except (OSError, ValueError):
            return None
        return told if told.get("pid") == self.process.pid and told.get("http") else None

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a GET on the HTTP port."""
        try:
            with urllib.request.urlopen(self.addresses["http"] + path, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def memory(self, name: str = "VmRSS") -> int:
        """Its resident memory, bytes; VmHWM for the highest so far."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in text.splitlines() if line.startswith(name))
        return int(line.split()[1]) * 1024

    def rows(self, sql: str) -> list[dict[str, str]]:
        """Rows of a SELECT through the SQL door."""
        told = DoorClient(self.addresses["sql"]).query(sql, format="JSONEachRow")
        return [json.loads(line) for line in told.splitlines()]

    def stored(self, where: str = "true") -> dict[str, int]:
        """Distinct spans stored, by trace."""
        sql = (
            "SELECT trace_id, toInt32(uniqExact(span_id)) AS spans "
            f"FROM spans WHERE {where} GROUP BY trace_id"
        )
        return {row["trace_id"]: int(row["spans"]) for row in self.rows(sql)}

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = DEADLINE_S) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


def until(condition: Callable[[], object], what: str) -> object:
    """Return the first true value of `condition`, asked until a deadline."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"never saw {what}")


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
def serve(tmp_path: Path) -> Iterator[Callable[..., Processor]]:
    """Starts processors; those that still run at the end are killed."""
    started: list[Processor] = []

    def start(folder: Path | None = None, toml: str = "") -> Processor:
        log = tmp_path / f"processor-{len(started)}.log"
        processor = Processor(folder or tmp_path / "store", toml, log)
        started.append(processor)
        processor.wait_until_open()
        return processor

    yield start
    for processor in started:
        if processor.process.poll() is None:
            os.kill(processor.process.pid, signal.SIGKILL)
        processor.process.wait()


@pytest.fixture
def load() -> type[Load]:
    return Load


@pytest.fixture(name="until")
def until_fixture() -> Callable[[Callable[[], object], str], object]:
    return until
