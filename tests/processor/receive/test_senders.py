"""Senders that are slow, go away, come too many or come too late."""

from __future__ import annotations

import asyncio

import aiohttp
import grpc
import pytest
from google.rpc.status_pb2 import Status

from tollway_processor.receive.limits import Limits

PROTOBUF = {"Content-Type": "application/x-protobuf"}
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
HEAD = (
    "POST /v1/traces HTTP/1.1\r\nHost: tollway\r\nContent-Type: application/x-protobuf\r\n"
    "Content-Length: {}\r\n\r\n"
)


async def post(session: aiohttp.ClientSession, url: str, body: bytes) -> tuple[int, str | None]:
    async with session.post(url + "/v1/traces", data=body, headers=PROTOBUF) as response:
        await response.read()
        return response.status, response.headers.get("Retry-After")


async def test_body_that_does_not_arrive_in_time_answers_408(serve, span_request):
    body = span_request().SerializeToString()
    async with serve(Limits(body_timeout_s=0.1)) as receivers:
        reader, writer = await asyncio.open_connection("127.0.0.1", receivers.http.port)
        writer.write(HEAD.format(len(body)).encode() + body[:-1])
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 20)
        writer.close()
        await writer.wait_closed()
        assert answer.startswith(b"HTTP/1.1 408")
        assert receivers.intake.budget.held_bytes == 0


async def test_body_that_breaks_off_is_counted_and_holds_nothing(
    receivers, span_request, eventually
):
    body = span_request().SerializeToString()
    _, writer = await asyncio.open_connection("127.0.0.1", receivers.http.port)
    writer.write(HEAD.format(len(body)).encode() + body[:20])
    await writer.drain()
    await eventually(lambda: receivers.intake.budget.requests == 1)
    writer.close()
    await writer.wait_closed()
    await eventually(lambda: receivers.intake.budget.requests == 0)
    assert receivers.counters.value("tollway_requests_refused_total") == 1
    assert not receivers.store.deliveries


async def test_request_that_is_no_http_answers_400(receivers):
    reader, writer = await asyncio.open_connection("127.0.0.1", receivers.http.port)
    writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.0 400")
    writer.close()
    await writer.wait_closed()


async def test_empty_bodies_one_after_another_are_all_answered(receivers):
    async with aiohttp.ClientSession() as session:
        answers = [await post(session, receivers.url, b"") for _ in range(5)]
    assert answers == [(400, None)] * 5


async def test_requests_over_the_budget_are_told_to_retry(serve, span_request, eventually):
    body = span_request().SerializeToString()
    async with serve(Limits(in_flight_requests=2)) as receivers, aiohttp.ClientSession() as session:
        receivers.store.gate.clear()
        waiting = [asyncio.create_task(post(session, receivers.url, body)) for _ in range(2)]
        await eventually(lambda: receivers.intake.budget.requests == 2)
        assert await post(session, receivers.url, body) == (429, "1")
        async with grpc.aio.insecure_channel(receivers.target) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(EXPORT)(body)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        details = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
        assert len(Status.FromString(details).details) == 1
        receivers.store.gate.set()
        assert await asyncio.gather(*waiting) == [(200, None)] * 2
        assert await post(session, receivers.url, body) == (200, None)


async def test_stop_answers_what_was_taken_in_and_refuses_what_comes_later(
    receivers, span_request, eventually
):
    request = span_request()
    async with (
        aiohttp.ClientSession() as session,
        grpc.aio.insecure_channel(receivers.target) as channel,
    ):
        export = channel.unary_unary(EXPORT)
        receivers.store.gate.clear()
        body = request.SerializeToString()
        over_http = asyncio.create_task(post(session, receivers.url, body))
        over_grpc = asyncio.create_task(asyncio.wait_for(export(body), 30))
        await eventually(lambda: receivers.intake.budget.requests == 2)
        stops = [
            asyncio.create_task(receivers.http.stop()),
            asyncio.create_task(receivers.grpc.stop()),
        ]
        await asyncio.sleep(0)
        with pytest.raises(aiohttp.ClientConnectionError):
            await post(session, receivers.url, body)
        receivers.store.gate.set()
        assert await over_http == (200, None)
        assert await over_grpc == b""
        await asyncio.gather(*stops)
    assert len(receivers.store.span_rows(request)) == 1


async def test_open_connection_is_told_to_go_elsewhere_after_the_drain(receivers, span_request):
    body = span_request().SerializeToString()
    receivers.intake.budget.drain()
    async with aiohttp.ClientSession() as session:
        assert await post(session, receivers.url, body) == (503, "1")
