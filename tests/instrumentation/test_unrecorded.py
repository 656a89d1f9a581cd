"""A call that is sure to be dropped runs in the context that the SDK would have made for it."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from tollway._unrecorded import DropShortcut


class Custom(StaticSampler):
    """A sampler of the app's own, that looks like the SDK's."""


SAMPLERS: dict[str, Sampler] = {
    "off": ALWAYS_OFF,
    "on": ALWAYS_ON,
    "record only": StaticSampler(Decision.RECORD_ONLY),
    "parent, off": ParentBased(ALWAYS_OFF),
    "parent, on": ParentBased(ALWAYS_ON),
    "parent, never of a ratio": ParentBased(TraceIdRatioBased(0)),
    "parent, off for remote": ParentBased(ALWAYS_ON, remote_parent_sampled=ALWAYS_OFF),
    "parent, on in spite": ParentBased(ALWAYS_OFF, local_parent_not_sampled=ALWAYS_ON),
    "ratio": TraceIdRatioBased(0),
    "custom": Custom(Decision.DROP),
}
PARENTS = {
    "none": None,
    "invalid": trace.INVALID_SPAN_CONTEXT,
    **{
        f"{where}, {said}": SpanContext(
            7, 9, where == "remote", TraceFlags(flag), TraceState([("vendor", "x")])
        )
        for where in ("local", "remote")
        for said, flag in (("sampled", 3), ("not sampled", 0))
    },
}


def _parent(name: str) -> Context:
    said = PARENTS[name]
    context = Context({"mine": 1})
    return context if said is None else trace.set_span_in_context(NonRecordingSpan(said), context)


@pytest.mark.parametrize("parent", PARENTS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_shortcut_says_what_the_tracer_would(sampler: str, parent: str) -> None:
    tracer = TracerProvider(sampler=SAMPLERS[sampler], shutdown_on_exit=False).get_tracer("t")
    around = _parent(parent)
    span = tracer.start_span("x", around)
    asked = span.get_span_context()
    short = DropShortcut(tracer).context(around)

    if short is None:
        is_stock = sampler in {"off", "parent, off"} and parent in {"none", "invalid"}
        assert span.is_recording() or not is_stock
        return
    assert not span.is_recording()
    assert short["mine"] == 1
    made = trace.get_current_span(short).get_span_context()
    assert made.is_valid
    assert made.trace_flags == asked.trace_flags or short is around
    assert not made.trace_flags.sampled
    assert made.trace_state == asked.trace_state
    said = PARENTS[parent]
    if said is not None and said.is_valid:
        assert made.trace_id == asked.trace_id == said.trace_id
        assert (short is around) is not said.trace_flags.sampled


@pytest.mark.parametrize("name", ["ratio", "custom", "record only", "on"])
def test_every_other_sampler_is_asked(name: str) -> None:
    tracer = TracerProvider(sampler=SAMPLERS[name], shutdown_on_exit=False).get_tracer("t")

    assert DropShortcut(tracer).context(Context()) is None


def test_tracer_that_is_not_the_sdk_s_is_asked() -> None:
    class Wrapped:
        sampler = ALWAYS_OFF

    assert DropShortcut(Wrapped()).context(Context()) is None
    assert DropShortcut(trace.NoOpTracer()).context(Context()) is None


def test_sampler_that_is_changed_is_obeyed(record: Any, wire: Any, samples: Any, ask: Any) -> None:
    class Keep(Sampler):
        def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
            return SamplingResult(Decision.RECORD_AND_SAMPLE)

        def get_description(self) -> str:
            return "keep"

    from tollway._setup import current

    spans = record(sampler=ALWAYS_OFF)
    client = wire.says(samples.chat()).client()
    ask(client)
    state: Any = current()
    state.tracer.sampler = Keep()
    ask(client)

    assert len(spans.all()) == 1


def test_call_below_an_unsampled_span_runs_in_its_context(
    record: Any, wire: Any, samples: Any, ask: Any
) -> None:
    seen = []

    def answer(request: Any) -> Any:
        seen.append(trace.get_current_span().get_span_context())
        return wire.http.Response(200, json=samples.chat())

    spans = record(sampler=ParentBased(ALWAYS_OFF))
    wire.answers.append(answer)
    with spans.provider.get_tracer("app").start_as_current_span("request") as root:
        ask(wire.client())

    assert seen == [root.get_span_context()]
    assert spans.all() == ()
