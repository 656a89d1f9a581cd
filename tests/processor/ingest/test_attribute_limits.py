"""Attributes too long are cut, those too many dropped; neighbours and small batches are not."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tollway_processor.ingest.codec import Window
from tollway_processor.store.embedded import EmbeddedStore

LIMITS = Window(
    attribute_bytes=300, content_bytes=500, attribute_count=12, event_count=3, link_count=2
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    opened = EmbeddedStore(tmp_path_factory.mktemp("store"), window=LIMITS)
    yield opened
    opened.close()


def attributes_of(texts):
    return [KeyValue(key=k, value=AnyValue(string_value=v)) for k, v in texts.items()]


def sent(otlp, span):
    assert otlp.send(span) == []
    (row,) = otlp.stored("spans", span.trace_id)
    return row


def test_long_values_are_cut_with_a_mark(otlp):
    span = otlp.call(gen_ai__input__messages="i" * 501, gen_ai__output__messages="o" * 500,
                     session__id="s" * 400, note="n" * 301, kept="k" * 300)  # fmt: skip
    row = sent(otlp, span)
    assert row["attributes"]["note"] == "n" * 300 + "… [cut, 301 bytes]"
    assert row["attributes"]["kept"] == "k" * 300
    assert row["session_id"] == "s" * 300 + "… [cut, 400 bytes]"
    (messages,) = otlp.stored("messages", span.trace_id)
    assert messages["input_messages"] == "i" * 500 + "… [cut, 501 bytes]"
    assert messages["output_messages"] == "o" * 500


def test_cut_leaves_valid_text(otlp):
    row = sent(otlp, otlp.span(note="ä" * 149 + "€€"))  # byte 300 is within the first €
    assert row["attributes"]["note"] == "ä" * 149 + "\ufffd… [cut, 304 bytes]"


def test_attributes_beyond_the_most_are_dropped_and_counted(otlp):
    many = {f"a{number:02}": "x" for number in range(20)}
    few = dict(list(many.items())[:12])
    crowded, neighbour = otlp.span(**many, session__id="late"), otlp.span(**few)
    assert otlp.send(crowded, neighbour) == []
    (row,) = otlp.stored("spans", crowded.trace_id)
    assert row["attributes"] == {**few, "tollway.dropped_attributes": "9"}
    assert row["session_id"] == "", "a column's attribute counts like any other"
    (row,) = otlp.stored("spans", neighbour.trace_id)
    assert row["attributes"] == few


def test_flat_message_keys_are_content(otlp):
    span = otlp.span(llm__input_messages__0__message__content="c" * 400)
    sent(otlp, span)
    (messages,) = otlp.stored("messages", span.trace_id)
    assert "c" * 400 in messages["input_messages"]


def test_only_batches_that_may_exceed_pay_for_the_check(otlp, store):
    small = otlp.request(otlp.span(a="x"))
    assert not LIMITS.may_exceed(small)
    assert LIMITS.may_exceed(otlp.request(otlp.span(a="x" * 301)))
    assert LIMITS.may_exceed(otlp.request(otlp.span(**{f"a{n}": "" for n in range(13)})))
    assert not Window().may_exceed(otlp.request(*(otlp.call() for _ in range(10))))


def test_defaults_leave_ordinary_spans_alone(otlp):
    parameters = Window().parameters(0)
    names = ("attribute_bytes", "content_bytes", "attribute_count")
    assert [parameters[name] for name in names] == [262_144, 1_048_576, 1024]


def test_resource_scope_name_and_status_are_limited_too(otlp):
    many = {f"r{number:02}": "x" for number in range(20)}
    span = otlp.call(name="n" * 301)
    span.status.message = "m" * 301
    request = ExportTraceServiceRequest.FromString(
        otlp.request(span, long="l" * 301, **many)  # service.name comes first
    )
    request.resource_spans[0].scope_spans[0].scope.name = "s" * 301
    assert otlp.commit(request.SerializeToString()) == []
    (row,) = otlp.stored("spans", span.trace_id)
    mark = "… [cut, 301 bytes]"
    kept = dict(list(many.items())[:10])
    assert row["resource"] == {
        "long": "l" * 300 + mark, **kept, "tollway.dropped_attributes": "10",
    }  # fmt: skip
    assert row["service"] == "tests"
    assert row["name"] == "n" * 300 + mark
    assert row["status_message"] == "m" * 300 + mark
    assert row["scope_name"] == "s" * 300 + mark


def test_events_and_links_beyond_the_most_are_dropped_and_counted(otlp):
    span = otlp.call()
    for number in range(5):
        event = span.events.add(name=f"e{number}", time_unix_nano=span.start_time_unix_nano)
        event.attributes.extend(attributes_of({f"a{n:02}": "x" for n in range(14)}))
        event.attributes[0].value.string_value = "v" * 301
        span.links.add(trace_id=otlp.trace_id(), span_id=b"\1" * 8)
    row = sent(otlp, span)
    assert row["event_names"] == ["e0", "e1", "e2"]
    assert len(row["event_times"]) == len(row["event_attributes"]) == 3
    assert list(row["event_attributes"][0]) == [f"a{n:02}" for n in range(12)]
    assert row["event_attributes"][2]["a00"] == "v" * 300 + "… [cut, 301 bytes]"
    assert len(row["link_trace_ids"]) == len(row["link_span_ids"]) == 2
    assert row["attributes"]["tollway.dropped_events"] == "2"
    assert row["attributes"]["tollway.dropped_links"] == "3"


def test_each_count_alone_is_seen_in_a_small_request(otlp):
    """A request below every length: its parts alone are too many."""
    window = Window(attribute_count=40, event_count=40, link_count=40)
    plain = otlp.request(otlp.span())
    assert not window.may_exceed(plain)
    events, links, inner = otlp.span(), otlp.span(), otlp.span()
    for _ in range(41):
        events.events.add()
        links.links.add()
    inner.events.add().attributes.extend(attributes_of({f"a{n}": "x" for n in range(41)}))
    for span in (events, links, inner):
        assert window.may_exceed(otlp.request(span))
    assert window.may_exceed(otlp.request(otlp.span(), **{f"r{n}": "x" for n in range(41)}))
    empty = ExportTraceServiceRequest.FromString(plain)
    empty.resource_spans[0].resource.attributes.extend([KeyValue()] * 41)
    assert window.may_exceed(empty.SerializeToString())
