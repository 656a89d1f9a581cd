"""Answers as the OTLP specification writes them, read back with the official classes."""

from __future__ import annotations

import json

import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tollway_processor.errors import OverloadError, PermanentError, RetryableError, StoreError
from tollway_processor.receive.answers import (
    JSON,
    PROTOBUF,
    failure,
    retry_after,
    status,
    status_body,
    success_body,
)

REFUSED = [("trace id of a wrong length", 3), ("ends before it starts", 1)]


def test_partial_success_of_both_signals_in_both_formats():
    spans = ExportTraceServiceResponse.FromString(success_body("traces", REFUSED, PROTOBUF))
    records = ExportLogsServiceResponse.FromString(success_body("logs", REFUSED, PROTOBUF))
    assert spans.partial_success.rejected_spans == 4
    assert records.partial_success.rejected_log_records == 4
    expected = "3 × trace id of a wrong length; 1 × ends before it starts"
    assert spans.partial_success.error_message == expected
    for signal, key in (("traces", "rejectedSpans"), ("logs", "rejectedLogRecords")):
        tree = json.loads(success_body(signal, REFUSED, JSON))
        assert tree == {"partialSuccess": {key: "4", "errorMessage": expected}}


def test_many_reasons_are_cut_short():
    body = success_body("traces", [(f"reason {n}", 1) for n in range(50)], PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(body).partial_success
    assert partial.rejected_spans == 50
    assert partial.error_message.endswith("and 45 more reasons")


@pytest.mark.parametrize(
    ("delay_s", "milliseconds", "header"),
    [(0.0, 1, "1"), (0.25, 250, "1"), (1.0, 1000, "1"), (90.5, 90_500, "91")],
)
def test_delay_is_written_in_each_way(delay_s, milliseconds, header):
    answer = failure(OverloadError("full", delay_s=delay_s))
    info = RetryInfo()
    parsed = Status.FromString(status(answer))
    assert parsed.details[0].Unpack(info)
    assert info.retry_delay.ToMilliseconds() == milliseconds
    assert retry_after(answer) == header
    detail = json.loads(status_body(answer, JSON))["details"][0]
    assert detail["retryDelay"] == f"{milliseconds / 1000:.3f}s"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermanentError("x"), (400, 3, False)),
        (OverloadError("x"), (429, 8, True)),
        (RetryableError("x"), (503, 14, True)),
        (StoreError("x"), (503, 14, True)),
    ],
)
def test_each_error_has_its_codes_and_its_retry(error, expected):
    answer = failure(error)
    code = Status.FromString(status(answer)).code
    assert (answer.http_status, code, retry_after(answer) is not None) == expected
