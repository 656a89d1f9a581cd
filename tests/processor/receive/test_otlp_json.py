"""OTLP/JSON to protobuf, held against protobuf's own JSON and the specification's rules."""

from __future__ import annotations

import base64
import json
import struct

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tollway_processor.errors import PermanentError, TooLargeError
from tollway_processor.receive.otlp_json import to_protobuf

# A busy machine is no fault of the code.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# https://github.com/open-telemetry/opentelemetry-proto/blob/main/examples/trace.json, with more
EXAMPLE = """
{
  "resourceSpans": [{
    "resource": {
      "attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}],
      "droppedAttributesCount": 1
    },
    "scopeSpans": [{
      "scope": {"name": "my.library", "version": "1.0.0"},
      "schemaUrl": "https://opentelemetry.io/schemas/1.30.0",
      "spans": [{
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "eee19b7ec3c1b174",
        "parentSpanId": "EEE19B7EC3C1B173",
        "name": "I'm a server span",
        "startTimeUnixNano": "1544712660000000000",
        "endTimeUnixNano": 1544712661000000000,
        "kind": 2,
        "flags": 257,
        "status": {"code": "STATUS_CODE_ERROR", "message": "näin"},
        "events": [{"timeUnixNano": "1544712660500000000", "name": "first token"}],
        "links": [{"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"}],
        "attributes": [
          {"key": "text", "value": {"stringValue": ""}},
          {"key": "yes", "value": {"boolValue": true}},
          {"key": "no", "value": {"boolValue": false}},
          {"key": "negative", "value": {"intValue": "-9223372036854775808"}},
          {"key": "number", "value": {"intValue": 42}},
          {"key": "whole", "value": {"intValue": 4.2e1}},
          {"key": "double", "value": {"doubleValue": 0.1}},
          {"key": "double of an integer", "value": {"doubleValue": 3}},
          {"key": "infinite", "value": {"doubleValue": "-Infinity"}},
          {"key": "bytes", "value": {"bytesValue": "AQID/w=="}},
          {"key": "url bytes", "value": {"bytesValue": "AQID_w"}},
          {"key": "list", "value": {"arrayValue": {"values": [{"intValue": 1}, {}]}}},
          {"key": "map", "value": {"kvlistValue": {"values": [
              {"key": "k", "value": {"stringValue": "v"}}]}}},
          {"key": "nothing", "value": {}},
          {"key": "null", "value": null}
        ],
        "someFutureField": {"deep": [1, 2, {"x": null}]}
      }]
    }]
  }]
}
"""


def test_example_of_the_specification_is_read_field_by_field():
    request = ExportTraceServiceRequest.FromString(to_protobuf("traces", EXAMPLE.encode()))
    resource = request.resource_spans[0]
    assert resource.resource.dropped_attributes_count == 1
    assert resource.scope_spans[0].scope.name == "my.library"
    assert resource.scope_spans[0].schema_url.endswith("1.30.0")
    span = resource.scope_spans[0].spans[0]
    assert span.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
    assert span.parent_span_id.hex() == "eee19b7ec3c1b173"
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (
        1544712660000000000,
        1544712661000000000,
    )
    assert (span.kind, span.flags, span.status.code, span.status.message) == (2, 257, 2, "näin")
    assert span.events[0].name == "first token"
    assert span.links[0].span_id.hex() == "eee19b7ec3c1b174"
    values = {attribute.key: attribute.value for attribute in span.attributes}
    assert values["text"].WhichOneof("value") == "string_value"
    assert values["no"].WhichOneof("value") == "bool_value"
    assert values["yes"].bool_value is True
    assert values["negative"].int_value == -(1 << 63)
    assert values["number"].int_value == values["whole"].int_value == 42
    assert values["double"].double_value == 0.1
    assert values["double of an integer"].double_value == 3.0
    assert values["infinite"].double_value == float("-inf")
    assert values["bytes"].bytes_value == values["url bytes"].bytes_value == b"\x01\x02\x03\xff"
    assert [v.WhichOneof("value") for v in values["list"].array_value.values] == ["int_value", None]
    assert values["map"].kvlist_value.values[0].value.string_value == "v"
    assert values["nothing"].WhichOneof("value") is None


scalars = st.one_of(
    st.builds(AnyValue, string_value=st.text(st.characters(codec="utf-8"))),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.builds(AnyValue, int_value=st.integers(-(1 << 63), (1 << 63) - 1)),
    st.builds(AnyValue, double_value=st.floats(allow_nan=False)),
    st.builds(AnyValue, bytes_value=st.binary()),
)


def in_list(values: list[AnyValue]) -> AnyValue:
    value = AnyValue()
    value.array_value.values.extend(values)
    return value


def in_map(values: list[AnyValue]) -> AnyValue:
    value = AnyValue()
    for index, inner in enumerate(values):
        value.kvlist_value.values.add(key=str(index), value=inner)
    return value


values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, min_size=1, max_size=3).flatmap(
        lambda found: st.sampled_from([in_list(found), in_map(found)])
    ),
    max_leaves=8,
)


@PATIENT
@given(values=st.lists(values, max_size=5), id_bytes=st.binary(min_size=16, max_size=16))
def test_json_of_protobuf_comes_back_as_the_same_message(values, id_bytes):
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=id_bytes, kind=3)
    for value in values:
        span.attributes.add(key="key", value=value)
    tree = MessageToDict(request)
    tree["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] = id_bytes.hex()
    body = json.dumps(tree).encode()
    assert ExportTraceServiceRequest.FromString(to_protobuf("traces", body)) == request


def test_log_records_are_read():
    record = {
        "timeUnixNano": "1544712660000000000",
        "observedTimeUnixNano": "1544712660000000001",
        "severityNumber": "SEVERITY_NUMBER_INFO2",
        "body": {"stringValue": "text"},
        "eventName": "gen_ai.evaluation.result",
        "traceId": "5b8efff798038103d269b633813fc60c",
    }
    tree = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    request = ExportLogsServiceRequest.FromString(to_protobuf("logs", json.dumps(tree).encode()))
    found = request.resource_logs[0].scope_logs[0].log_records[0]
    assert (found.severity_number, found.event_name) == (10, "gen_ai.evaluation.result")
    assert (found.body.string_value, found.observed_time_unix_nano) == ("text", 1544712660000000001)


def of_span(field: str, value: object) -> bytes:
    spans = [{"name": "good"}, {field: value}]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


def of_attribute(value: object) -> bytes:
    return of_span("attributes", [{"key": "k", "value": value}])


SPAN = "resourceSpans[0].scopeSpans[0].spans[1]"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (of_span("traceId", "5b8"), f"{SPAN}.traceId: '5b8' is not hexadecimal"),
        (of_span("spanId", "zz"), f"{SPAN}.spanId"),
        (of_span("startTimeUnixNano", "-1"), f"{SPAN}.startTimeUnixNano: '-1' is no integer"),
        (of_span("startTimeUnixNano", "1e-3"), f"{SPAN}.startTimeUnixNano"),
        (of_span("endTimeUnixNano", 1.5), f"{SPAN}.endTimeUnixNano: '1.5' is no integer"),
        (of_span("kind", "SPAN_KIND_ODD"), f"{SPAN}.kind"),
        (of_span("name", 3), "Expected `str | null`, got `int` - at `$.resourceSpans[0]."),
        (of_attribute({"intValue": "9223372036854775808"}), "attributes[0].value.intValue"),
        (of_attribute({"doubleValue": "much"}), "attributes[0].value.doubleValue: 'much'"),
        (of_attribute({"bytesValue": "*"}), "attributes[0].value.bytesValue: is not base64"),
        (b"[]", "Expected `object`"),
        (b"", "truncated"),
        (b'{"resourceSpans": [}', "malformed"),
        (b'{"resourceSpans": [{"schemaUrl": "\xff"}]}', "no OTLP/JSON traces request"),
        (b'{"resourceSpans": [{"schemaUrl": "\\ud800"}]}', "no OTLP/JSON traces request"),
    ],
)
def test_refusal_names_the_value_at_fault(body, expected):
    with pytest.raises(PermanentError) as caught:
        to_protobuf("traces", body)
    assert expected in str(caught.value)


def test_endless_nesting_is_refused():
    for levels in (200, 100_000):
        value = b'{"arrayValue":{"values":[' * levels + b"]}}" * levels
        body = (
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"value":%s}]}]}]}]}'
            % value
        )
        with pytest.raises(PermanentError, match="nests"):
            to_protobuf("traces", body)


def test_very_many_objects_are_refused_before_they_are_built():
    with pytest.raises(TooLargeError, match="JSON objects"):
        to_protobuf("traces", b'{"resourceSpans":[' + b"{}," * 300_000 + b"{}]}")


@PATIENT
@given(st.floats(allow_nan=False))
def test_doubles_come_through_bit_by_bit(value):
    text = {"doubleValue": value} if abs(value) != float("inf") else {"doubleValue": "Infinity"}
    request = ExportTraceServiceRequest.FromString(to_protobuf("traces", of_attribute(text)))
    found = request.resource_spans[0].scope_spans[0].spans[1].attributes[0].value.double_value
    assert struct.pack("<d", abs(found)) == struct.pack("<d", abs(value))


@PATIENT
@given(st.binary(max_size=50), st.booleans(), st.booleans())
def test_base64_of_both_alphabets_is_read_with_and_without_padding(data, is_url, has_padding):
    text = (base64.urlsafe_b64encode if is_url else base64.b64encode)(data).decode()
    body = of_attribute({"bytesValue": text if has_padding else text.rstrip("=")})
    request = ExportTraceServiceRequest.FromString(to_protobuf("traces", body))
    attribute = request.resource_spans[0].scope_spans[0].spans[1].attributes[0]
    assert attribute.value.bytes_value == data
