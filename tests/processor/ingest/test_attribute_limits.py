"""Attributes too long are cut, those too many dropped; neighbours and small batches are not."""

from __future__ import annotations

import pytest

from tollway_processor.ingest.codec import Window
from tollway_processor.store.embedded import EmbeddedStore

LIMITS = Window(attribute_bytes=300, content_bytes=500, attribute_count=12)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    opened = EmbeddedStore(tmp_path_factory.mktemp("store"), window=LIMITS)
    yield opened
    opened.close()


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
