"""OTLP/gRPC over real sockets: storing, status codes and their details."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tollway_processor.errors import OverloadError, PermanentError, RetryableError
from tollway_processor.receive.auth import Tokens
from tollway_processor.receive.limits import Limits

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


async def call(target, body, method=EXPORT, metadata=(), compression=None):
    async with grpc.aio.insecure_channel(target) as channel:
        stub = channel.unary_unary(method)
        return await stub(body, metadata=metadata, compression=compression, timeout=30)


async def refusal(target, body, **options):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(target, body, **options)
    trailers = dict(caught.value.trailing_metadata())
    details = trailers.get("grpc-status-details-bin")
    return caught.value, None if details is None else Status.FromString(details)


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_request_is_stored(receivers, span_request, compression):
    request = span_request(3)
    body = request.SerializeToString()
    assert await call(receivers.target, body, compression=compression) == b""
    rows = receivers.store.span_rows(request)
    assert [row["input_tokens"] for row in rows] == [100, 101, 102]


async def test_empty_message_is_a_success(receivers):
    assert await call(receivers.target, b"") == b""
    assert not receivers.store.deliveries


async def test_malformed_message_is_an_invalid_argument(receivers, span_request):
    error, status = await refusal(receivers.target, span_request().SerializeToString()[:-3])
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "left" in error.details()
    assert (status.code, status.message, len(status.details)) == (3, error.details(), 0)


async def test_partial_success_counts_the_refused_spans(receivers, span_request):
    request = span_request(2)
    request.resource_spans[0].scope_spans[0].spans[0].span_id = b""
    answer = await call(receivers.target, request.SerializeToString())
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    assert partial.rejected_spans == 1
    assert len(receivers.store.span_rows(request)) == 1


@pytest.mark.parametrize(
    ("failure", "code", "delay_ms"),
    [
        (RetryableError("the disk is full", delay_s=2.5), grpc.StatusCode.UNAVAILABLE, 2500),
        (OverloadError("too much", delay_s=1.0), grpc.StatusCode.RESOURCE_EXHAUSTED, 1000),
    ],
)
async def test_retryable_failure_carries_a_delay(receivers, span_request, failure, code, delay_ms):
    receivers.store.failures.append(failure)
    error, status = await refusal(receivers.target, span_request().SerializeToString())
    info = RetryInfo()
    assert error.code() is code
    assert status.code == code.value[0]
    assert status.details[0].Unpack(info)
    assert info.retry_delay.ToMilliseconds() == delay_ms


async def test_request_that_the_engine_refuses_is_an_invalid_argument(receivers, span_request):
    receivers.store.failures.extend([PermanentError("cannot decode")] * 3)
    error, status = await refusal(receivers.target, span_request().SerializeToString())
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not status.details


async def test_too_many_spans_are_refused_without_retry(serve, span_request):
    async with serve(Limits(spans=10)) as receivers:
        error, status = await refusal(receivers.target, span_request(11).SerializeToString())
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not status.details


async def test_message_over_the_size_limit_is_refused(serve, span_request):
    async with serve(Limits(decoded_bytes=20_000)) as receivers:
        body = span_request(content="x" * 30_000).SerializeToString()
        error, _ = await refusal(receivers.target, body)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        error, _ = await refusal(receivers.target, body, compression=grpc.Compression.Gzip)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "method",
    [
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
    ],
)
async def test_other_methods_are_unimplemented(receivers, method):
    error, _ = await refusal(receivers.target, b"", method=method)
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_bearer_token_is_asked_for_and_names_the_project(serve, span_request):
    body = span_request().SerializeToString()
    async with serve(tokens=Tokens({"s3cret": "checkout"})) as receivers:
        for metadata in ((), (("authorization", "Bearer wrong"),)):
            error, status = await refusal(receivers.target, body, metadata=metadata)
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            assert status.code == 16
        await call(receivers.target, body, metadata=(("authorization", "bearer s3cret"),))
        assert [delivery.project for delivery in receivers.store.deliveries] == ["checkout"]


async def test_call_given_up_by_its_sender_is_stored_and_held_against_the_budget(
    receivers, span_request, eventually
):
    request = span_request()
    receivers.store.gate.clear()
    waiting = asyncio.create_task(call(receivers.target, request.SerializeToString()))
    await eventually(lambda: receivers.intake.budget.held_bytes)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    receivers.store.gate.set()
    await eventually(lambda: receivers.intake.budget.requests == 0)
    assert receivers.intake.budget.held_bytes == 0
    assert len(receivers.store.span_rows(request)) == 1


async def test_call_without_a_message_is_an_invalid_argument(receivers):
    async with grpc.aio.insecure_channel(receivers.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.stream_unary(EXPORT)(iter(()), timeout=30)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "no message" in caught.value.details()
    assert receivers.intake.budget.requests == 0


@pytest.mark.slow
async def test_calls_that_bring_no_message_keep_nobody_out(serve, span_request, eventually):
    async with (
        serve(Limits(body_timeout_s=5.0)) as receivers,
        grpc.aio.insecure_channel(receivers.target) as channel,
    ):
        silent = [channel.stream_unary(EXPORT)(timeout=30) for _ in range(12)]
        await eventually(lambda: receivers.intake.budget.requests == len(silent))
        assert await call(receivers.target, span_request().SerializeToString()) == b""
        assert [one.done() for one in silent] == [False] * len(silent)
        codes = [await one.code() for one in silent]
        assert codes == [grpc.StatusCode.DEADLINE_EXCEEDED] * len(silent)
        assert "did not come in 5 s" in await silent[0].details()
        assert receivers.intake.budget.requests == receivers.intake.budget.held_bytes == 0
