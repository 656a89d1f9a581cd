"""Scores and outcomes: on the current span, on one that is over, for a trace whose id was kept."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind

import tollway
from tollway import _guard

EVENT = "gen_ai.evaluation.result"


def _carrier(spans: Any) -> Any:
    return spans.named(EVENT)


def test_score_on_the_current_span_is_an_event(spans: Any) -> None:
    with spans.provider.get_tracer("app").start_as_current_span("work"):
        tollway.score("json_valid", True, label="pass", explanation="parsed", source="human")

    span = spans.one()
    assert span.events[0].name == EVENT
    assert dict(span.events[0].attributes) == {
        "gen_ai.evaluation.name": "json_valid",
        "gen_ai.evaluation.score.value": 1.0,
        "gen_ai.evaluation.score.label": "pass",
        "gen_ai.evaluation.explanation": "parsed",
        "tollway.score.source": "human",
    }


def test_outcome_says_so(spans: Any) -> None:
    with spans.provider.get_tracer("app").start_as_current_span("work"):
        tollway.outcome("thumbs_down")

    told = spans.one().events[0].attributes
    assert told["tollway.score.kind"] == "outcome"
    assert told["gen_ai.evaluation.score.value"] == 1.0
    assert told["tollway.score.source"] == "user"


def test_score_after_the_call_goes_to_the_span_that_ended_last(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    with tollway.route("refunds") as route:
        ask(wire.says(samples.chat()).client())
        tollway.score("groundedness", 0.25)

    call, carrier = spans.named("chat gpt-4o-mini"), _carrier(spans)
    assert carrier.context.trace_id == call.context.trace_id
    assert carrier.parent.span_id == call.context.span_id
    assert carrier.kind is SpanKind.INTERNAL
    assert carrier.start_time == carrier.end_time
    told = carrier.events[0].attributes
    assert told["tollway.score.trace_id"] == format(call.context.trace_id, "032x")
    assert told["tollway.score.span_id"] == format(call.context.span_id, "016x")
    assert told["gen_ai.evaluation.score.value"] == 0.25
    assert route.trace_id == format(call.context.trace_id, "032x")


def test_score_of_a_kept_trace_id_means_the_whole_trace(spans: Any) -> None:
    tollway.outcome("escalation", trace_id="0af7651916cd43dd8448eb211c80319c")

    carrier = _carrier(spans)
    assert carrier.context.trace_id == 0x0AF7651916CD43DD8448EB211C80319C
    assert carrier.parent.is_remote
    told = carrier.events[0].attributes
    assert told["tollway.score.trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert told["tollway.score.span_id"] == ""


def test_score_of_a_kept_span(spans: Any) -> None:
    tollway.score("ok", 1, trace_id=0x0AF7651916CD43DD8448EB211C80319C, span_id="b7ad6b7169203331")

    carrier = _carrier(spans)
    assert carrier.parent.span_id == 0xB7AD6B7169203331
    assert carrier.events[0].attributes["tollway.score.span_id"] == "b7ad6b7169203331"


def test_kept_id_wins_over_the_current_span(spans: Any) -> None:
    with spans.provider.get_tracer("app").start_as_current_span("work"):
        tollway.score("ok", 1, trace_id="0af7651916cd43dd8448eb211c80319c")

    assert spans.named("work").events == ()
    assert len(_carrier(spans).events) == 1


def test_carrier_leaves_the_route_s_own_trace_id_alone(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    with tollway.route("refunds") as route:
        ask(wire.says(samples.chat()).client())
        kept = route.trace_id
        tollway.outcome("refund", trace_id="0af7651916cd43dd8448eb211c80319c")
        tollway.score("after", 1)

    assert route.trace_id == kept
    last = spans.all()[-1].events[0].attributes
    assert last["tollway.score.trace_id"] == kept


def test_score_is_sent_under_a_parent_based_sampler(record: Any) -> None:
    spans = record(sampler=ParentBased(ALWAYS_OFF))
    tollway.score("ok", 1, trace_id="0af7651916cd43dd8448eb211c80319c")

    assert len(spans.all()) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", None, object(), 10**400])
def test_score_that_is_no_number_is_counted_and_warned_of_once(
    spans: Any, caplog: pytest.LogCaptureFixture, value: Any
) -> None:
    for _ in range(3):
        tollway.score("x", value, trace_id="0af7651916cd43dd8448eb211c80319c")

    assert spans.all() == ()
    assert len(caplog.records) == 1
    assert _guard.failures["score: value"] == 3


@pytest.mark.parametrize(
    ("trace_id", "span_id"),
    [
        ("xyz", None),
        ("", None),
        ("0" * 32, None),
        (None, "b7ad6b7169203331"),
        (-1, None),
        ("0af7651916cd43dd8448eb211c80319c", "b7"),
        (2**128, None),
    ],
)
def test_score_with_a_bad_id_is_warned_of(
    spans: Any, caplog: pytest.LogCaptureFixture, trace_id: Any, span_id: Any
) -> None:
    tollway.score("x", 1, trace_id=trace_id, span_id=span_id)

    assert spans.all() == ()
    assert len(caplog.records) == 1


def test_score_with_nothing_to_go_to_is_warned_of_once(
    spans: Any, caplog: pytest.LogCaptureFixture
) -> None:
    tollway.score("x", 1)
    tollway.score("x", 1)

    assert spans.all() == ()
    assert len(caplog.records) == 1
    assert "no span is recording" in caplog.text
    assert _guard.failures["score: no span"] == 2


def test_explanation_is_redacted_and_cut(record: Any) -> None:
    spans = record(capture_content=lambda text: text.replace("Ann", "A."), max_content_chars=9)
    with spans.provider.get_tracer("app").start_as_current_span("work"):
        tollway.score("x", 1, explanation="Ann said so and more")

    told = spans.one().events[0].attributes["gen_ai.evaluation.explanation"]
    assert told.startswith("A. said s…[cut ")


def test_score_without_instrument_goes_to_the_current_span(spans: Any) -> None:
    tollway.uninstrument()
    with spans.provider.get_tracer("app").start_as_current_span("work"):
        tollway.score("x", 1)

    assert len(spans.one().events) == 1
