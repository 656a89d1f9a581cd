"""The check accepts exactly what protobuf's own classes accept, and counts what they count."""

from __future__ import annotations

import random

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tollway_processor.errors import PermanentError, TooLargeError
from tollway_processor.receive.check import check
from tollway_processor.receive.limits import Limits
from tollway_processor.receive.wire import length_delimited, varint

LIMITS = Limits()


def path(*fields: int, payload: bytes = b"") -> bytes:
    for field in reversed(fields):
        payload = length_delimited(field, payload)
    return payload


def standard_count(message_class, body: bytes) -> int | None:
    """Count with protobuf's own classes; None for what they refuse."""
    try:
        message = message_class.FromString(body)
    except DecodeError:
        return None
    if message_class is ExportTraceServiceRequest:
        return sum(len(s.spans) for r in message.resource_spans for s in r.scope_spans)
    return sum(len(s.log_records) for r in message.resource_logs for s in r.scope_logs)


def verdict(body: bytes) -> tuple[int, str | None]:
    try:
        return check("traces", body, LIMITS), None
    except PermanentError as error:
        return 0, str(error)


@pytest.mark.parametrize("seed", range(4))
def test_verdict_and_count_are_those_of_the_standard_parser(span_request, mutated, seed):
    dice = random.Random(seed)
    body = span_request(3).SerializeToString()
    for _ in range(1500):
        candidate = mutated(body, dice)
        expected = standard_count(ExportTraceServiceRequest, candidate)
        found, refusal = verdict(candidate)
        if refusal is None:
            assert found == expected, candidate
        elif expected is not None:
            # Stricter than protobuf: see skipped.py, and a body of no known field.
            assert "is written as" in refusal or "no field of" in refusal, candidate


def test_log_records_are_counted():
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for _ in range(300):
        scope.log_records.add(event_name="gen_ai.evaluation.result")
    assert check("logs", request.SerializeToString(), LIMITS) == 300


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 3_000_000])
def test_spans_of_any_length_are_counted(size):
    span = path(2, payload=length_delimited(5, b"x" * size))
    assert check("traces", path(1, 2, payload=span * 3), LIMITS) == 3


def test_tag_spelt_with_needless_bytes_is_counted():
    span = b"\x92\x80\x00" + varint(0)
    assert check("traces", path(1, 2, payload=span * 5), LIMITS) == 5


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (path(1, 2, 2, payload=b"\x0a\x10abc"), "spans[0] at byte 6: field 1 says 16 bytes, 3"),
        (path(1, 2, 2, 9, 1, payload=b"\xff"), "spans[0].attributes[0].key at byte 10 is not UTF"),
        (path(1, 2, payload=b"\x12\x00\x12\x01\x80"), "scopeSpans[0].spans[1] at byte 8: the bo"),
        (path(1, 1, payload=b"\x0b"), "resourceSpans[0].resource at byte 4: wire type 3"),
        (b"\x00\x00", "in the request at byte 0: field number 0 does not exist"),
    ],
)
def test_refusal_names_the_field_and_the_byte_at_fault(body, expected):
    with pytest.raises(PermanentError) as caught:
        check("traces", body, LIMITS)
    assert expected in str(caught.value)


def in_span(*fields: int, payload: bytes) -> bytes:
    return path(1, 2, 2, *fields, payload=payload)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (in_span(payload=b"\x28\x01"), "name of Span is written as a varint"),
        (in_span(9, 2, payload=b"\x21" + bytes(8)), None),
        (in_span(9, 2, payload=b"\x20\x05"), "doubleValue of AnyValue is written as a varint"),
        (in_span(9, payload=b"\x08\x05"), "key of KeyValue is written as a varint"),
        (in_span(payload=b"\x9b\x06\x9c\x06"), "field 99 of Span is written as a group"),
        (path(1, 2, payload=b"\x10\x01") + in_span(payload=b""), "spans of ScopeSpans"),
        (in_span(payload=b"\x98\x06\x01\x9a\x06\x01x"), None),
        (in_span(payload=b"") + length_delimited(1000, b"another's"), "not a sender's to set"),
        (in_span(payload=b"") + b"\xc8\x3e\x07", "field 1001 of the request"),
    ],
)
def test_field_of_another_wire_type_is_refused_and_an_unknown_one_is_not(body, expected):
    found, refusal = verdict(body)
    if expected is None:
        assert (found, refusal) == (1, None)
    else:
        assert expected in refusal


def test_very_many_unknown_fields_are_refused_without_listing_them():
    _, refusal = verdict(in_span(payload=b"\x98\x06\x01" * 1_000_000))
    assert "bytes of fields that OTLP does not have" in refusal


@pytest.mark.parametrize("step", [(5, 1), (6, 1, 2)], ids=["lists", "maps"])
def test_nesting_of_values_is_limited(step):
    limits = Limits(nesting=7)
    for levels, is_accepted in ((7, True), (8, False), (40, False)):
        body = path(1, 2, 2, 9, 2, *(step * levels), payload=length_delimited(1, b"x"))
        if is_accepted:
            assert check("traces", body, limits) == 1
        else:
            with pytest.raises(PermanentError, match=r"nest|depth"):
                check("traces", body, limits)


@pytest.mark.parametrize("field", [9, 11, 13])
def test_attributes_events_and_links_are_limited(field):
    limits = Limits(attributes=1000)
    span = path(2, payload=path(field, payload=b"") * 500)
    assert check("traces", path(1, 2, payload=span * 2), limits) == 2
    with pytest.raises(TooLargeError, match="over 1000 attributes"):
        check("traces", path(1, 2, payload=span * 2 + path(2, field)), limits)


def test_text_that_looks_like_attributes_is_accepted():
    limits = Limits(attributes=10)
    span = path(2, payload=length_delimited(5, b"J" * 1000))
    assert check("traces", path(1, 2, payload=span), limits) == 1
