"""Hostile bodies and floods move the process's memory by no more than they may."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from google.rpc.status_pb2 import Status

from tollway_processor.errors import PermanentError, TooLargeError
from tollway_processor.receive.body import zstd
from tollway_processor.receive.check import check
from tollway_processor.receive.limits import Limits
from tollway_processor.receive.wire import length_delimited

MIB = 1 << 20
PROTOBUF = {"Content-Type": "application/x-protobuf"}

# Sends 256 MiB of zeros as one gzip message, from a process whose memory is not ours.
GRPC_BOMB = """
import sys, grpc
channel = grpc.insecure_channel(sys.argv[1], (("grpc.max_send_message_length", -1),))
export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
try:
    export(bytes(256 << 20), compression=grpc.Compression.Gzip, timeout=60)
except grpc.RpcError as error:
    print(error.code().name)
"""

# Sends a body many times at once, so that each call waits with its message for room.
GRPC_FLOOD = """
import sys, grpc
options = (("grpc.max_send_message_length", -1),)
body = sys.stdin.buffer.read()
calls = []
for _ in range(int(sys.argv[2])):
    channel = grpc.insecure_channel(sys.argv[1], (*options, ("grpc.use_local_subchannel_pool", 1)))
    export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
    calls.append(export.future(body, timeout=60))
print(*(call.code().name for call in calls))
"""


def status_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


class Moved:
    peak_bytes = 0


@contextlib.contextmanager
def peak_memory() -> Iterator[Moved]:
    """Measure by how much the resident memory rises at its highest (Linux's VmHWM)."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back
    before, moved = status_bytes("VmRSS"), Moved()
    yield moved
    moved.peak_bytes = status_bytes("VmHWM") - before


def gigabyte(encoding: str) -> bytes:
    """Return a megabyte that unpacks to a gigabyte: one compressed block, a thousand times."""
    block = bytes(MIB)
    if encoding == "zstd":
        compressor = zstd.ZstdCompressor()
        return b"".join([compressor.compress(block) for _ in range(1024)]) + compressor.flush()
    deflater = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    first = deflater.compress(block) + deflater.flush(zlib.Z_FULL_FLUSH)
    again = deflater.compress(block) + deflater.flush(zlib.Z_FULL_FLUSH)
    return first + again * 1023


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
async def test_bomb_of_a_gigabyte_is_stopped_while_streaming(receivers, encoding):
    bomb = gigabyte(encoding)
    assert len(bomb) < 2 * MIB
    async with aiohttp.ClientSession() as session:
        with peak_memory() as moved:
            async with session.post(
                receivers.url + "/v1/traces",
                data=io.BytesIO(bomb),
                headers={**PROTOBUF, "Content-Encoding": encoding},
            ) as response:
                assert response.status == 413
                assert "unpacks to over" in Status.FromString(await response.read()).message
    assert moved.peak_bytes <= 64 * MIB
    assert receivers.intake.budget.held_bytes == 0


async def test_bomb_over_grpc_is_stopped(receivers):
    with peak_memory() as moved:
        sender = await asyncio.create_subprocess_exec(
            sys.executable, "-c", GRPC_BOMB, receivers.target, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await sender.communicate()
    assert output.strip() == b"RESOURCE_EXHAUSTED"
    assert moved.peak_bytes <= 64 * MIB


def nested(*fields: int, payload: bytes) -> bytes:
    for field in reversed(fields):
        payload = length_delimited(field, payload)
    return payload


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (nested(1, 2, payload=b"\x12\x00" * (8 * MIB)), TooLargeError),  # spans of two bytes
        (nested(1, 2, 2, payload=b"\x4a\x00" * (8 * MIB)), TooLargeError),  # attributes
        (nested(1, 2, 2, payload=b"\x5a\x00" * (8 * MIB)), TooLargeError),  # events
        (b"\xf8\x07\x01" * (5 * MIB), PermanentError),  # unknown fields
    ],
)
def test_body_of_very_many_parts_costs_little_more_than_itself(body, error):
    with peak_memory() as moved, pytest.raises(error):
        check("traces", body, Limits())
    assert moved.peak_bytes <= 3 * len(body)


async def test_flood_is_answered_within_the_budget(serve, span_request, eventually):
    """Twenty times what may be in flight: each request is stored, or refused with a retry."""
    request = span_request(content="x" * 100_000)
    body = request.SerializeToString()
    limits = Limits(in_flight_bytes=len(body) * 5, decoded_bytes=len(body) * 2)
    async with serve(limits) as receivers:
        receivers.store.gate.clear()
        highest = 0

        async def send(session: aiohttp.ClientSession) -> tuple[int, str | None]:
            nonlocal highest
            async with session.post(
                receivers.url + "/v1/traces", data=body, headers=PROTOBUF
            ) as response:
                highest = max(highest, receivers.intake.budget.held_bytes)
                return response.status, response.headers.get("Retry-After")

        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            sends = [asyncio.create_task(send(session)) for _ in range(100)]
            refused = "tollway_requests_refused_total"
            await eventually(lambda: receivers.counters.value(refused) == 95)
            receivers.store.gate.set()
            answers = await asyncio.gather(*sends)
        assert answers.count((200, None)) == 5
        assert answers.count((429, "1")) == 95
        assert highest <= limits.in_flight_bytes
        assert len(receivers.store.deliveries) == 5
        assert receivers.intake.budget.held_bytes == receivers.intake.budget.requests == 0


@pytest.mark.slow
async def test_flood_over_grpc_is_taken_in_only_as_far_as_there_is_room(
    serve, span_request, eventually
):
    body = span_request(content="x" * 8 * MIB).SerializeToString()
    async with serve(Limits(in_flight_bytes=32 * MIB)) as receivers:
        receivers.store.gate.clear()
        with peak_memory() as moved:
            sender = await asyncio.create_subprocess_exec(
                sys.executable, "-c", GRPC_FLOOD, receivers.target, "40",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            telling = asyncio.create_task(sender.communicate(body))
            refused = "tollway_requests_refused_total"
            await eventually(lambda: receivers.counters.value(refused) >= 36)
            receivers.store.gate.set()
            output, _ = await telling
        answers = output.decode().split()
        assert answers.count("OK") == len(receivers.store.deliveries) in (3, 4)
        assert answers.count("RESOURCE_EXHAUSTED") == 40 - answers.count("OK")
        # What waits, what is read, and what the engine stores; all calls together bring 320 MiB.
        assert moved.peak_bytes <= 224 * MIB
        assert receivers.intake.budget.held_bytes == receivers.intake.budget.requests == 0
