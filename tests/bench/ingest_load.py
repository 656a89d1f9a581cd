"""Own the load of the ingest benchmark: a process that sends prepared requests and times answers.

Each connection has one request in flight, as an exporter has. A request that is turned away with a
retry is sent again after the delay that it was told; one that is refused ends the run.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import grpc
import numpy as np
from ingest_requests import SPANS, endless
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_RETRIED = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
_RETRY_S = 0.1

Send = Callable[[bytes], Awaitable[bool]]
"""Sends one request; False when it was turned away with a retry."""


class Load(NamedTuple):
    """What a run of the load saw."""

    spans: int
    seconds: float
    p50_ms: float
    p99_ms: float
    retries: int


def run(
    address: str, templates: Path, *, protocol: str, connections: int, requests: int, seed: int
) -> Load:
    """Run the load in a process of its own and return what it saw."""
    done = subprocess.run(
        [
            sys.executable, __file__, address, str(templates), "--protocol", protocol,
            "--connections", str(connections), "--requests", str(requests), "--seed", str(seed),
        ],
        stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    return Load(**json.loads(done.stdout))


def together(loads: list[Load]) -> Load:
    """Return rounds as one load; the percentiles are the worst round's."""
    return Load(
        sum(load.spans for load in loads),
        sum(load.seconds for load in loads),
        max(load.p50_ms for load in loads),
        max(load.p99_ms for load in loads),
        sum(load.retries for load in loads),
    )


@asynccontextmanager
async def _http(address: str) -> AsyncIterator[Send]:
    url = urlsplit(address)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    head = (
        f"POST /v1/traces HTTP/1.1\r\nHost: {url.netloc}\r\n"
        "Content-Type: application/x-protobuf\r\nContent-Length: "
    )

    async def send(body: bytes) -> bool:
        writer.write(f"{head}{len(body)}\r\n\r\n".encode())
        writer.write(body)
        await writer.drain()
        told = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = told.partition("content-length:")[2].split("\r\n")[0]
        answer = await reader.readexactly(int(length or 0))
        status = int(told.split()[1])
        if status == 200:
            _check(answer)
        elif status not in (429, 503):
            raise RuntimeError(f"{address} answered {status}: {answer[:200]!r}")
        return status == 200

    yield send
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def _grpc(address: str) -> AsyncIterator[Send]:
    options = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own
    async with grpc.aio.insecure_channel(address, options) as channel:
        export = channel.unary_unary(_METHOD)

        async def send(body: bytes) -> bool:
            try:
                _check(await export(body))
            except grpc.aio.AioRpcError as error:
                if error.code() not in _RETRIED:
                    raise
                return False
            return True

        yield send


def _check(answer: bytes) -> None:
    rejected = ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans
    if rejected:
        raise RuntimeError(f"{rejected} spans were rejected")


class _Run:
    """The requests still to send, shared by all connections, and what became of them."""

    def __init__(self, bodies: Iterator[bytes]) -> None:
        self._bodies = bodies
        self.times_s: list[float] = []
        self.retries = 0

    async def connection(self, send: Send) -> None:
        for body in self._bodies:
            started = time.perf_counter()
            while not await send(body):
                self.retries += 1
                await asyncio.sleep(_RETRY_S)
            self.times_s.append(time.perf_counter() - started)


async def _send_all(arguments: argparse.Namespace) -> Load:
    fresh = endless(arguments.templates, arguments.seed)
    bodies = list(itertools.islice(fresh, arguments.requests))
    run = _Run(iter(bodies))
    connect = _http if arguments.protocol == "http" else _grpc

    async def one() -> None:
        async with connect(arguments.address) as send:
            await run.connection(send)

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(arguments.connections)))
    seconds = time.perf_counter() - started
    p50_ms, p99_ms = np.percentile(run.times_s, [50, 99]) * 1e3
    return Load(SPANS * len(run.times_s), seconds, float(p50_ms), float(p99_ms), run.retries)


def main() -> None:
    """Send what the command line says and print what was seen as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="URL for http, HOST:PORT for grpc")
    parser.add_argument("templates", type=Path)
    parser.add_argument("--protocol", choices=("http", "grpc"), default="http")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    print(json.dumps(asyncio.run(_send_all(parser.parse_args()))._asdict()))


if __name__ == "__main__":
    main()
