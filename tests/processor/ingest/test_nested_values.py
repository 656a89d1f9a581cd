"""Messages told as structures, not as JSON: arrays of key-value lists, at any depth."""

from __future__ import annotations

import json

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tollway_processor.ingest import any_values

ASKED = [
    {"role": "user", "parts": [{"type": "text", "content": 'Is "Zürich" cold?'}]},
    {"role": "assistant", "parts": [
        {"type": "tool_call", "id": "c1", "name": "weather",
         "arguments": {"places": [{"city": "Zürich", "days": [1, 2]}], "strict": True}}]},
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"t": -3.5}}]},
]  # fmt: skip
SAID = [
    {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": "c2", "name": "pack", "arguments": {}}],
        "finish_reason": "tool_call",
    }
]
ARGUMENTS = {"order": {"id": "O-1", "lines": [1, [2, None]]}}


def told(otlp, **more: object) -> Span:
    return otlp.call(
        gen_ai__input__messages=ASKED,
        gen_ai__output__messages=SAID,
        gen_ai__tool__call__arguments=ARGUMENTS,
        shop__cart={"items": [{"sku": "a"}]},
        **more,
    )


@pytest.mark.parametrize("more", [{}, {"openinference__span__kind": "LLM"}])
def test_structures_are_stored_as_the_json_that_they_are(otlp, more):
    span = told(otlp, **more)
    assert otlp.send(span, otlp.call()) == []
    (messages,) = otlp.stored("messages", span.trace_id)
    (row,) = otlp.stored("spans", span.trace_id)
    assert json.loads(messages["input_messages"]) == ASKED
    assert json.loads(messages["output_messages"]) == SAID
    assert json.loads(row["attributes"]["shop.cart"]) == {"items": [{"sku": "a"}]}
    assert (row["tool_names"], row["cost_status"]) == (["pack"], "computed")


def test_structured_arguments_of_a_tool_are_its_arguments(otlp):
    span = otlp.span(
        gen_ai__operation__name="execute_tool",
        gen_ai__tool__name="pack",
        gen_ai__tool__call__arguments=ARGUMENTS,
    )
    otlp.send(span)
    (messages,) = otlp.stored("messages", span.trace_id)
    assert json.loads(messages["tool_arguments"]) == ARGUMENTS


def test_structures_of_a_span_event_are_read(otlp):
    span = otlp.call()
    span.events.add(name="shop.note").attributes.extend(otlp.span(what=[{"a": [1]}]).attributes)
    otlp.send(span)
    (row,) = otlp.stored("spans", span.trace_id)
    assert json.loads(row["event_attributes"][0]["what"]) == [{"a": [1]}]


def test_values_that_json_has_not_become_text():
    assert any_values.plain(AnyValue(bytes_value=b"\x00\xff")) == "AP8="
    assert any_values.plain(AnyValue(double_value=float("inf"))) == "inf"


def test_request_without_structures_is_the_same_object(otlp):
    body = otlp.request(otlp.call(gen_ai__response__finish_reasons=["stop"]))
    assert any_values.with_text(body) is body
