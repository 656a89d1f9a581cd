"""OTLP/HTTP over real sockets: formats, encodings, refusals and what they say."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable

import aiohttp
import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tollway_processor.errors import PermanentError, RetryableError, StoreError
from tollway_processor.receive.auth import Tokens
from tollway_processor.receive.body import zstd
from tollway_processor.receive.limits import Limits

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


async def post(url, body, headers, path="/v1/traces"):
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.post(url + path, data=body, headers=headers) as response,
    ):
        return response.status, response.headers, await response.read()


def json_body(request) -> bytes:
    """Write a request as OTLP/JSON: protobuf's JSON, but with ids in hexadecimal."""
    tree = MessageToDict(request)
    spans = [s for r in request.resource_spans for sc in r.scope_spans for s in sc.spans]
    trees = [s for r in tree["resourceSpans"] for sc in r["scopeSpans"] for s in sc["spans"]]
    for span, target in zip(spans, trees, strict=True):
        target["traceId"], target["spanId"] = span.trace_id.hex(), span.span_id.hex()
    return json.dumps(tree).encode()


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "identity": ("identity", bytes),
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "zstd": ("zstd", zstd.compress),
}


@pytest.mark.parametrize("name", ENCODERS)
async def test_protobuf_in_every_encoding_is_stored(receivers, span_request, name):
    request = span_request(3)
    encoding, encode = ENCODERS[name]
    headers = {**PROTOBUF, "Content-Encoding": encoding}
    status, answer, body = await post(receivers.url, encode(request.SerializeToString()), headers)
    assert (status, body) == (200, b"")
    assert answer["Content-Type"] == "application/x-protobuf"
    rows = receivers.store.span_rows(request)
    assert [row["input_tokens"] for row in rows] == [100, 101, 102]


@pytest.mark.parametrize("encode", [bytes, gzip.compress])
async def test_json_is_stored_as_the_same_rows_as_protobuf(receivers, span_request, encode):
    request = span_request(2)
    encoding = {"Content-Encoding": "gzip"} if encode is gzip.compress else {}
    status, answer, body = await post(
        receivers.url, encode(json_body(request)), {**JSON, **encoding}
    )
    assert (status, body) == (200, b"{}")
    assert answer["Content-Type"] == "application/json"
    assert [row["input_tokens"] for row in receivers.store.span_rows(request)] == [100, 101]


async def test_chunked_body_without_a_length_is_stored(receivers, span_request):
    request = span_request()

    async def pieces():
        body = request.SerializeToString()
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    status, _, _ = await post(receivers.url, pieces(), PROTOBUF)
    assert status == 200
    assert len(receivers.store.span_rows(request)) == 1


BROKEN: dict[str, tuple[Callable[[bytes], bytes], dict[str, str], str]] = {
    "no byte": (lambda body: b"", PROTOBUF, "empty"),
    "no byte of JSON": (lambda body: b"", JSON, "empty"),
    "truncated": (lambda body: body[:-9], PROTOBUF, "left"),
    "text": (lambda body: b"hello, world", PROTOBUF, "no OTLP traces request"),
    "foreign message": (lambda body: b"\x78\x01", PROTOBUF, "no field of an OTLP traces"),
    "bad UTF-8": (
        lambda body: body.replace(b"chat", b"\xff\xfeat"),
        PROTOBUF,
        "resourceSpans[0].scopeSpans[0].spans[0].name at byte",
    ),
    "truncated JSON": (lambda body: b'{"resourceSpans": [', JSON, "truncated"),
    "JSON of a wrong type": (lambda body: b'{"resourceSpans": 1}', JSON, "$.resourceSpans"),
    "JSON id": (
        lambda body: b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}',
        JSON,
        "resourceSpans[0].scopeSpans[0].spans[0].traceId: 'xyz' is not hexadecimal",
    ),
    "not gzip": (lambda body: body, {**PROTOBUF, "Content-Encoding": "gzip"}, "not valid gzip"),
    "gzip cut short": (
        lambda body: gzip.compress(body)[:-5],
        {**PROTOBUF, "Content-Encoding": "gzip"},
        "ends in the middle",
    ),
    "not zstd": (lambda body: body, {**PROTOBUF, "Content-Encoding": "zstd"}, "not valid zstd"),
    "zstd cut short": (
        lambda body: zstd.compress(body)[:-5],
        {**PROTOBUF, "Content-Encoding": "zstd"},
        "ends in the middle",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_broken_body_answers_400_with_what_is_wrong(receivers, span_request, name):
    spoil, headers, expected = BROKEN[name]
    body = spoil(span_request().SerializeToString())
    status, answer, text = await post(receivers.url, body, headers)
    assert status == 400
    assert answer["Content-Type"] == headers["Content-Type"]
    if headers is JSON:
        code, message = json.loads(text)["code"], json.loads(text)["message"]
    else:
        parsed = Status.FromString(text)
        code, message = parsed.code, parsed.message
    assert code == 3
    assert expected in message
    assert "Retry-After" not in answer
    assert receivers.counters.value("tollway_requests_refused_total", cause="malformed") == 1
    assert not receivers.store.deliveries


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{}", JSON),
        (b'{"resourceSpans": []}', JSON),
        (b"\x0a\x00", PROTOBUF),
        (gzip.compress(b"", mtime=0), {**PROTOBUF, "Content-Encoding": "gzip"}),
    ],
)
async def test_request_without_spans_is_a_success(receivers, body, headers):
    status, _, text = await post(receivers.url, body, headers)
    assert (status, text) == (200, b"{}" if headers is JSON else b"")
    assert not receivers.store.deliveries


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {**PROTOBUF, "Content-Encoding": "br"},
        {**PROTOBUF, "Content-Encoding": "gzip, gzip"},
    ],
)
async def test_unknown_type_or_encoding_answers_415(receivers, span_request, headers):
    status, _, text = await post(receivers.url, span_request().SerializeToString(), headers)
    assert status == 415
    assert b"is not one of" in text


async def test_content_type_may_carry_parameters(receivers, span_request):
    headers = {"Content-Type": "application/json; charset=utf-8"}
    status, _, _ = await post(receivers.url, json_body(span_request()), headers)
    assert status == 200


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1development/profiles"])
async def test_signal_that_is_not_taken_answers_404(receivers, path):
    status, _, text = await post(receivers.url, b"\x0a\x00", PROTOBUF, path)
    assert status == 404
    assert Status.FromString(text).code == 12
    assert "traces and logs" in Status.FromString(text).message


async def test_wrong_method_answers_405(receivers):
    async with aiohttp.ClientSession() as session, session.get(receivers.url + "/v1/traces") as got:
        assert got.status == 405
        assert got.headers["Allow"] == "POST"


@pytest.mark.parametrize("encode", [bytes, gzip.compress, zlib.compress, zstd.compress])
async def test_body_over_a_limit_answers_413_without_retry(serve, span_request, encode):
    encoding = {bytes: "", gzip.compress: "gzip", zlib.compress: "deflate"}.get(encode, "zstd")
    limits = Limits(encoded_bytes=20_000, decoded_bytes=20_000)
    body = encode(span_request(content="x" * 30_000).SerializeToString())
    async with serve(limits) as receivers:
        headers = {**PROTOBUF, **({"Content-Encoding": encoding} if encoding else {})}
        status, answer, text = await post(receivers.url, body, headers)
    assert status == 413
    assert Status.FromString(text).code == 8
    assert not Status.FromString(text).details
    assert "smaller batches" in Status.FromString(text).message
    assert "Retry-After" not in answer


async def test_too_many_spans_answer_413(serve, span_request):
    async with serve(Limits(spans=10)) as receivers:
        status, _, text = await post(receivers.url, span_request(11).SerializeToString(), PROTOBUF)
        assert (status, Status.FromString(text).code) == (413, 8)
        status, _, _ = await post(receivers.url, span_request(10).SerializeToString(), PROTOBUF)
        assert status == 200


@pytest.mark.parametrize("headers", [PROTOBUF, JSON])
async def test_store_that_is_down_answers_503_with_a_delay(receivers, span_request, headers):
    receivers.store.failures.append(RetryableError("the disk is full", delay_s=2.5))
    request = span_request()
    body = request.SerializeToString() if headers is PROTOBUF else json_body(request)
    status, answer, text = await post(receivers.url, body, headers)
    assert status == 503
    assert answer["Retry-After"] == "3"
    if headers is PROTOBUF:
        parsed, info = Status.FromString(text), RetryInfo()
        assert parsed.code == 14
        assert parsed.details[0].Unpack(info)
        assert info.retry_delay.ToMilliseconds() == 2500
    else:
        assert json.loads(text)["details"][0]["retryDelay"] == "2.500s"
    status, _, _ = await post(receivers.url, body, headers)
    assert status == 200
    assert len(receivers.store.span_rows(request)) == 1


async def test_failed_statement_is_retryable(receivers, span_request):
    receivers.store.failures.append(StoreError("no such column", code=47))
    body = span_request().SerializeToString()
    status, _, text = await post(receivers.url, body, PROTOBUF)
    assert (status, Status.FromString(text).code) == (503, 14)


async def test_request_that_the_engine_refuses_answers_400(receivers, span_request):
    receivers.store.failures.extend([PermanentError("cannot decode")] * 3)
    body = span_request().SerializeToString()
    status, _, text = await post(receivers.url, body, PROTOBUF)
    assert (status, Status.FromString(text).message) == (400, "cannot decode")


async def test_spans_with_bad_ids_and_times_are_refused_and_their_neighbours_stored(
    receivers, span_request
):
    request = span_request(5)
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[1].span_id = b"short"
    spans[2].trace_id = bytes(16)
    spans[3].end_time_unix_nano = spans[3].start_time_unix_nano - 1
    status, _, body = await post(receivers.url, request.SerializeToString(), PROTOBUF)
    assert status == 200
    partial = ExportTraceServiceResponse.FromString(body).partial_success
    assert partial.rejected_spans == 3
    assert partial.error_message.count("1 × ") == 3
    assert [row["input_tokens"] for row in receivers.store.span_rows(request)] == [100, 104]
    status, _, text = await post(receivers.url, json_body(request), JSON)
    assert json.loads(text)["partialSuccess"]["rejectedSpans"] == "3"
    assert receivers.counters.value("tollway_items_refused_total") == 6


async def test_malformed_request_leaves_the_good_ones_in_flight_alone(
    receivers, span_request, eventually
):
    good = [span_request(2) for _ in range(6)]
    bad = span_request().SerializeToString()[:-3]
    receivers.store.gate.clear()
    answers = [
        asyncio.create_task(post(receivers.url, body, PROTOBUF))
        for request in good
        for body in (request.SerializeToString(), bad)
    ]
    refused = "tollway_requests_refused_total"
    await eventually(lambda: receivers.counters.value(refused) == len(good))
    receivers.store.gate.set()
    statuses = [status for status, _, _ in await asyncio.gather(*answers)]
    assert statuses == [200, 400] * len(good)
    for request in good:
        assert len(receivers.store.span_rows(request)) == 2


async def test_bearer_token_is_asked_for_and_names_the_project(serve, span_request):
    body = span_request().SerializeToString()
    async with serve(tokens=Tokens({"s3cret": "checkout", "other": "search"})) as receivers:
        for authorization in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}):
            status, answer, text = await post(receivers.url, body, {**PROTOBUF, **authorization})
            assert (status, Status.FromString(text).code) == (401, 16)
            assert answer["WWW-Authenticate"].startswith("Bearer")
        assert not receivers.store.deliveries
        headers = {**PROTOBUF, "Authorization": "Bearer s3cret"}
        status, _, _ = await post(receivers.url, body, headers)
        assert status == 200
        assert [delivery.project for delivery in receivers.store.deliveries] == ["checkout"]


async def test_health_and_metrics_are_answered(receivers, span_request):
    await post(receivers.url, span_request(3).SerializeToString(), PROTOBUF)
    await post(receivers.url, b"nonsense", PROTOBUF)
    async with aiohttp.ClientSession() as session:
        for path in ("/healthz", "/readyz"):
            async with session.get(receivers.url + path) as response:
                assert response.status == 200
        async with session.get(receivers.url + "/metrics") as response:
            text = await response.text()
    assert 'tollway_items_total{signal="traces"} 3\n' in text
    assert 'tollway_requests_refused_total{cause="malformed",signal="traces"} 1\n' in text
    assert "tollway_in_flight_bytes 0\n" in text
    assert 'tollway_commit_seconds_bucket{le="+Inf"} 1\n' in text
