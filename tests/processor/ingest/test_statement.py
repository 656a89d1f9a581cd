"""Spans of several conventions, through the engine, to columns."""

from __future__ import annotations

import json
import time

import pytest

HOUR_NS = 3_600 * 10**9


def test_otel_attributes_become_columns(otlp):
    span = otlp.call(
        tollway__route="refunds", tollway__cohort="vip", tollway__variant="student",
        session__id="s1", user__id="u1", llm__latency_ms=12.5,
        gen_ai__response__finish_reasons=["stop", "tool_calls"],
        llm__tool_call__names=["get_order", "refund"], llm__tool_call__count=2,
        gen_ai__response__time_to_first_chunk=0.25, llm__attempt__count=3,
        gen_ai__usage__cache_read__input_tokens=40,
    )  # fmt: skip
    otlp.send(span)
    (row,) = otlp.stored("spans", span.trace_id)
    expected = {
        "service": "tests", "operation": "chat", "provider": "openai", "request_model": "gpt-4o",
        "response_model": "gpt-4o-2024-08-06", "route": "refunds", "cohort": "vip",
        "variant": "student", "session_id": "s1", "user_id": "u1", "input_tokens": 100,
        "output_tokens": 10, "cache_read_tokens": 40, "cache_write_tokens": None,
        "finish_reasons": ["stop", "tool_calls"], "tool_names": ["get_order", "refund"],
        "tool_call_count": 2, "ttft_ns": 250_000_000, "latency_ns": 12_500_000, "retries": 2,
        "attributes": {},
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_openinference_attributes_become_the_same_columns(otlp):
    span = otlp.span(
        name="ChatCompletion",
        openinference__span__kind="LLM",
        llm__system="openai",
        llm__model_name="gpt-4o-2024-08-06",
        llm__token_count__prompt=100,
        llm__token_count__completion=10,
        llm__token_count__prompt_details__cache_read=40,
        llm__finish_reason="tool_calls",
    )
    span.attributes.extend(
        otlp.span(
            **{
                "llm__output_messages__0__message__role": "assistant",
                "llm__output_messages__0__message__tool_calls__0__tool_call__function__name": "refund",
            }
        ).attributes
    )
    otlp.send(span)
    (row,) = otlp.stored("spans", span.trace_id)
    told = ("operation", "provider", "response_model", "input_tokens", "output_tokens")
    assert [row[name] for name in told] == ["chat", "openai", "gpt-4o-2024-08-06", 100, 10]
    assert (row["cache_read_tokens"], row["finish_reasons"]) == (40, ["tool_calls"])
    assert (row["tool_names"], row["tool_call_count"]) == (["refund"], 1)
    assert row["cost_usd"] == "0.0003"  # 60 × 2.5e-6 + 40 × 1.25e-6 + 10 × 1e-5
    (message,) = otlp.stored("messages", span.trace_id)
    call = {"type": "tool_call", "id": None, "name": "refund", "arguments": None}
    assert json.loads(message["output_messages"]) == [{"role": "assistant", "parts": [call]}]


def test_first_attribute_of_a_column_wins_whatever_the_order_on_the_wire(otlp):
    span = otlp.span(llm__token_count__prompt=7, gen_ai__usage__input_tokens=5)
    otlp.send(span)
    assert otlp.stored("spans", span.trace_id)[0]["input_tokens"] == 5


@pytest.mark.parametrize(
    ("told", "kept", "cause"),
    [
        (-5, "-5", "negative"),
        (2**40, str(2**40), "absurd"),
        (2**31 + 1, str(2**31 + 1), "absurd"),
        ("many", "many", "no number"),
        ("12.0", "12.0", "no number"),
        ("1e3", "1e3", "no number"),
        (True, "true", "no number"),
        (float("nan"), "nan", "no number"),
        (1.5, "1.5", "no number"),
        ([3], "[3]", "no number"),
    ],
)
def test_a_count_that_is_none_is_null_costs_nothing_and_is_kept(otlp, told, kept, cause):
    span = otlp.call(input_tokens=told)
    otlp.send(span)
    (row,) = otlp.stored("spans", span.trace_id)
    assert row["input_tokens"] is None
    assert row["doubts"] == [f"input_tokens: {cause}"]
    assert row["attributes"] == {"gen_ai.usage.input_tokens": kept}
    assert float(row["cost_usd"]) == pytest.approx(10 * 1e-5)


def test_numbers_sent_as_text_are_counts(otlp):
    span = otlp.call(input_tokens="100")
    otlp.send(span)
    assert otlp.stored("spans", span.trace_id)[0]["input_tokens"] == 100


def test_other_attributes_are_kept_once(otlp):
    span = otlp.call(
        text="a", number=3, share=0.5, flag=True, items=["x", 1, True], raw=b"\x00\x01"
    )
    otlp.send(span)
    (row,) = otlp.stored("spans", span.trace_id)
    assert row["attributes"] == {
        "text": "a", "number": "3", "share": "0.5", "flag": "true",
        "items": '["x",1,true]', "raw": "AAE=",
    }  # fmt: skip


def test_content_goes_to_messages_alone(otlp):
    span = otlp.call(gen_ai__input__messages='[{"role":"user"}]', gen_ai__tool__definitions="[]")
    otlp.send(span)
    (row,) = otlp.stored("messages", span.trace_id)
    assert (row["input_messages"], row["tool_definitions"]) == ('[{"role":"user"}]', "[]")
    assert otlp.stored("spans", span.trace_id)[0]["attributes"] == {}


def test_span_without_content_has_no_messages(otlp):
    span = otlp.call()
    otlp.send(span)
    assert otlp.stored("messages", span.trace_id) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"trace_id": b"abc"}, "trace id has 3 bytes, not 16"),
        ({"trace_id": bytes(16)}, "trace id is all zero"),
        ({"span_id": b"\x01" * 7}, "span id has 7 bytes, not 8"),
        ({"span_id": bytes(8)}, "span id is all zero"),
        ({"start_ns": 5}, "start is before the retention window"),
        ({"start_ns": 2**63}, "end is more than an hour in the future"),
        ({"duration_ns": 3 * HOUR_NS}, "end is more than an hour in the future"),
    ],
)
def test_bad_span_is_refused_beside_its_stored_neighbour(otlp, change, reason):
    bad, good = otlp.call(**change), otlp.call()
    refusals = otlp.commit(otlp.request(good), otlp.request(bad, good))
    assert [tuple(refusal) for refusal in refusals] == [(1, reason, 1)]
    assert len(otlp.stored("spans", good.trace_id)) == 1
    assert otlp.stored("spans", bad.trace_id) == []


def test_end_before_start_is_refused(otlp):
    span = otlp.call()
    span.end_time_unix_nano = span.start_time_unix_nano - 1
    assert otlp.send(span)[0].reason == "end is before start"


def test_span_sent_three_times_is_one_row(otlp):
    span = otlp.call()
    for _ in range(3):
        otlp.send(span)
    assert len(otlp.stored("spans", span.trace_id)) == 1


def test_project_of_the_delivery_is_stamped(otlp):
    span = otlp.call()
    otlp.send(span, project="blue")
    assert otlp.stored("spans", span.trace_id)[0]["project"] == "blue"


def evaluation(span, at_ns=None, **attributes):
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    keyed = {name.replace("__", "."): value for name, value in attributes.items()}
    return Span.Event(
        name="gen_ai.evaluation.result",
        time_unix_nano=at_ns or span.start_time_unix_nano,
        attributes=_attributes(keyed),
    )


def _attributes(values):
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

    return [
        KeyValue(
            key=key,
            value=AnyValue(double_value=value)
            if isinstance(value, float)
            else AnyValue(string_value=value),
        )
        for key, value in values.items()
    ]


def test_evaluation_event_becomes_a_score_of_its_span(otlp):
    span = otlp.call()
    span.events.append(
        evaluation(span, gen_ai__evaluation__name="json_valid", gen_ai__evaluation__score__value=0.0,
                   gen_ai__evaluation__score__label="fail", gen_ai__evaluation__explanation="no brace")
    )  # fmt: skip
    otlp.send(span)
    (row,) = otlp.stored("scores", span.trace_id)
    told = ("span_id", "name", "source", "kind", "value", "label", "explanation")
    assert [row[name] for name in told] == [
        span.span_id.hex(), "json_valid", "code", "score", 0, "fail", "no brace",
    ]  # fmt: skip


def test_carrier_span_leaves_a_score_of_its_target_and_no_span(otlp):
    target = otlp.call()
    otlp.send(target)
    carrier = otlp.span(trace_id=target.trace_id, name="gen_ai.evaluation.result", duration_ns=0)
    carrier.events.append(
        evaluation(carrier, gen_ai__evaluation__name="escalation", gen_ai__evaluation__score__value=1.0,
                   tollway__score__kind="outcome", tollway__score__trace_id=target.trace_id.hex(),
                   tollway__score__span_id="")
    )  # fmt: skip
    otlp.send(carrier)
    (row,) = otlp.stored("scores", target.trace_id)
    assert (row["span_id"], row["kind"], row["value"]) == ("", "outcome", 1)
    assert [r["span_id"] for r in otlp.stored("spans", target.trace_id)] == [target.span_id.hex()]


def test_newest_judgement_of_one_source_wins(otlp):
    span = otlp.call()
    now_ns = time.time_ns()
    for age_ns, value in ((0, 1.0), (10**9, 0.0)):  # the older one arrives last
        told = otlp.span(trace_id=span.trace_id, span_id=span.span_id)
        told.events.append(
            evaluation(told, now_ns - age_ns, gen_ai__evaluation__name="tone",
                       gen_ai__evaluation__score__value=value)
        )  # fmt: skip
        otlp.send(told)
    assert [row["value"] for row in otlp.stored("scores", span.trace_id)] == [1]


def test_what_is_billed_beside_tokens_is_kept_by_unit(otlp):
    span = otlp.call(
        gen_ai__usage__cache_creation__ephemeral_1h_input_tokens=7,
        gen_ai__usage__details__web_search_requests=3,
        gen_ai__usage__web_searches=3,
        gen_ai__usage__image__input_tokens="many",
        tollway__usage__audio_seconds=12.5,
    )
    otlp.send(span)
    (row,) = otlp.stored("spans", span.trace_id)
    assert row["cache_write_1h_tokens"] == 7
    assert row["usage"] == {"web_searches": "3", "audio_seconds": "12.5"}
