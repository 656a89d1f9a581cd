"""Spans that take the long way: JSON inside of attributes, events, labels of the resource, traps."""

from __future__ import annotations

import json

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


def attributes(values):
    return [KeyValue(key=key, value=AnyValue(string_value=text)) for key, text in values.items()]


def event(span, name, after_ns=0, **values):
    at_ns = span.start_time_unix_nano + after_ns
    keyed = {key.replace("__", "."): value for key, value in values.items()}
    return Span.Event(name=name, time_unix_nano=at_ns, attributes=attributes(keyed))


def row(otlp, span, **resource):
    otlp.send(span, **resource)
    (found,) = otlp.stored("spans", span.trace_id)
    return found


def messages(otlp, span):
    otlp.send(span)
    (found,) = otlp.stored("messages", span.trace_id)
    return found


def test_exclusive_buckets_of_langfuse_are_summed(otlp):
    usage = {"input": 56, "input_flex_cache_read": 64, "output": 10, "output_flex_reasoning": 20}
    span = otlp.span(
        langfuse__observation__type="generation",
        langfuse__observation__model__name="gpt-5-mini",
        langfuse__observation__usage_details=json.dumps(usage),
    )
    found = row(otlp, span)
    assert (found["input_tokens"], found["cache_read_tokens"]) == (120, 64)
    assert (found["output_tokens"], found["reasoning_tokens"]) == (30, 20)
    assert json.loads(found["attributes"]["langfuse.observation.usage_details"]) == usage


@pytest.mark.parametrize(("told", "whole"), [(100, 2100), (2500, 2500)])
def test_input_of_anthropic_smaller_than_its_cached_part_is_made_whole(otlp, told, whole):
    span = otlp.span(
        openinference__span__kind="LLM",
        llm__provider="anthropic",
        llm__model_name="claude-sonnet-4-5",
        llm__token_count__prompt=told,
        llm__token_count__prompt_details__cache_read=2000,
        llm__token_count__completion=5,
    )
    assert row(otlp, span)["input_tokens"] == whole


@pytest.mark.parametrize(
    ("resource", "source"),
    [
        ({"tollway__route": "refunds"}, "resource/tollway.route"),
        ({"route": "refunds"}, "resource/route"),
    ],
)
def test_route_of_the_resource_is_that_of_its_spans(otlp, resource, source):
    found = row(otlp, otlp.call(), **resource)
    assert (found["route"], found["route_source"]) == ("refunds", source)


def test_route_told_on_the_span_wins_over_metadata_and_resource(otlp):
    span = otlp.call(llm__route="refunds", metadata='{"route": "other"}')
    found = row(otlp, span, tollway__route="another")
    assert (found["route"], found["route_source"]) == ("refunds", "llm.route")


def test_labels_in_metadata_are_those_of_the_span(otlp):
    told = {
        "route": "refunds", "cohort": "vip", "variant": "student", "langgraph_node": "think",
        "session_id": "s", "user_id": "u",
    }  # fmt: skip
    found = row(otlp, otlp.call(metadata=json.dumps(told)))
    names = ("route", "cohort", "variant", "node", "session_id", "user_id")
    assert [found[name] for name in names] == list(told.values())
    assert json.loads(found["attributes"]["metadata"]) == told


@pytest.mark.parametrize(
    ("told", "provider"),
    [("azure", "azure.ai.openai"), ("Bedrock", "aws.bedrock"), ("langchain", ""), ("groq", "groq")],
)
def test_provider_has_one_spelling(otlp, told, provider):
    assert row(otlp, otlp.call(gen_ai__provider__name=told))["provider"] == provider


def test_error_type_comes_from_the_exception_of_a_failed_span_alone(otlp):
    failed, fine = otlp.call(), otlp.call()
    for span in (failed, fine):
        span.events.append(event(span, "exception", exception__type="openai.RateLimitError"))
    failed.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR))
    assert row(otlp, failed)["error_type"] == "openai.RateLimitError"
    assert row(otlp, fine)["error_type"] == ""


def test_usage_of_an_agent_is_no_call(otlp):
    span = otlp.call(gen_ai__operation__name="", openinference__span__kind="AGENT")
    found = row(otlp, span)
    assert (found["operation"], found["cost_status"]) == ("invoke_agent", "")


def test_span_events_become_messages(otlp):
    span = otlp.call(gen_ai__system="openai")
    span.events.extend(
        [
            event(span, "gen_ai.system.message", content="Be brief."),
            event(span, "gen_ai.user.message", gen_ai__event__content='{"content": "Where \\"is\\" it?"}'),
            event(span, "gen_ai.choice", message='{"content": "Here."}', finish_reason="stop"),
        ]
    )  # fmt: skip
    found = messages(otlp, span)
    assert json.loads(found["input_messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": 'Where "is" it?'}]},
    ]
    assert json.loads(found["output_messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Here."}], "finish_reason": "stop"}
    ]  # fmt: skip


def test_messages_of_the_responses_api_are_read(otlp):
    asked = {
        "model": "gpt-5",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
    }
    said = {
        "id": "resp_1",
        "output": [
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yo"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
        ],
    }  # fmt: skip
    span = otlp.span(
        openinference__span__kind="LLM", llm__model_name="gpt-5",
        input__value=json.dumps(asked), output__value=json.dumps(said),
    )  # fmt: skip
    found = messages(otlp, span)
    assert json.loads(found["input_messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Hi"}]}
    ]
    call = {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}
    assert json.loads(found["output_messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Yo"}]},
        {"role": "assistant", "parts": [call]},
    ]
    assert otlp.stored("spans", span.trace_id)[0]["response_id"] == "resp_1"


def test_text_that_looks_like_json_stays_text(otlp):
    texts = ['{"role": "system"}', "[1, 2", '"quoted" \\ \n\u2028 ünï 🙂', "{"]
    values = {"openinference__span__kind": "LLM"}
    span = otlp.span(**values)
    keyed = {
        f"llm.input_messages.{index}.message.{name}": value
        for index, text in enumerate(texts)
        for name, value in (("role", "user"), ("content", text))
    }
    span.attributes.extend(attributes(keyed | {"output.value": "plain {words"}))
    found = messages(otlp, span)
    assert [m["parts"] for m in json.loads(found["input_messages"])] == [
        [{"type": "text", "content": text}] for text in texts
    ]
    assert json.loads(found["output_messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "plain {words"}]}
    ]


def test_eleven_messages_and_an_image_keep_their_order(otlp):
    span = otlp.span(openinference__span__kind="LLM")
    keyed = {f"llm.input_messages.{n}.message.role": "user" for n in range(11)}
    keyed |= {f"llm.input_messages.{n}.message.content": str(n) for n in range(10)}
    part = "llm.input_messages.10.message.contents"
    keyed |= {
        f"{part}.0.message_content.type": "text", f"{part}.0.message_content.text": "See",
        f"{part}.1.message_content.type": "image",
        f"{part}.1.message_content.image.image.url": "https://example.org/a.png",
    }  # fmt: skip
    span.attributes.extend(attributes(keyed))
    parts = [m["parts"] for m in json.loads(messages(otlp, span)["input_messages"])]
    assert [p[0]["content"] for p in parts] == [*map(str, range(10)), "See"]
    image = {"type": "uri", "modality": "image", "uri": "https://example.org/a.png"}
    assert parts[10][1] == image


@pytest.mark.parametrize(
    "broken", ["{", "[", '{"messages": [', '{"usage": }', "null", '[null, 1, "x"]']
)
def test_broken_json_breaks_nothing(otlp, broken):
    span = otlp.call(
        openinference__span__kind="LLM", metadata=broken, input__value=broken,
        output__value=broken, llm__invocation_parameters=broken,
        langfuse__observation__usage_details=broken,
    )  # fmt: skip
    assert row(otlp, span)["input_tokens"] == 100


def test_plain_and_foreign_spans_of_one_batch_are_all_stored(otlp):
    plain = otlp.call()
    foreign = otlp.span(openinference__span__kind="LLM", llm__token_count__prompt=7)
    otlp.store.codec._long_ways = 0  # as if no foreign span had come yet
    assert otlp.commit(otlp.request(plain), otlp.request(foreign)) == []
    assert otlp.stored("spans", plain.trace_id)[0]["input_tokens"] == 100
    assert otlp.stored("spans", foreign.trace_id)[0]["input_tokens"] == 7


def test_first_of_many_chunks_tells_the_time_to_first_token(otlp):
    span = otlp.call(duration_ns=10**9, traceloop__span__kind="")
    span.events.extend(
        event(span, "gen_ai.content.completion.chunk", (n + 1) * 1_000_000) for n in range(300)
    )
    assert row(otlp, span)["ttft_ns"] == 1_000_000
