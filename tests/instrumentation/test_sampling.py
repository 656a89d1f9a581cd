"""Sampling, non-recorded spans, and metrics."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult


class Asked(Sampler):
    """A sampler that notes what it was given."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        attributes = kwargs.get("attributes", args[4] if len(args) > 4 else None)
        self.seen.append(dict(attributes or {}))
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self) -> str:
        return "asked"


def test_samplers_see_what_they_need_at_the_start(
    record: Any, wire: Any, samples: Any, ask: Any
) -> None:
    import tollway

    sampler = Asked()
    record(sampler=sampler)
    with tollway.route("refunds", cohort="c"):
        ask(wire.says(samples.chat()).client())

    (seen,) = sampler.seen
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "server.address": "api.openai.com",
        "server.port": 443,
        "tollway.route": "refunds",
        "tollway.cohort": "c",
    }
    assert {key: seen.get(key) for key in expected} == expected


@pytest.mark.parametrize("is_stream", [False, True])
def test_unsampled_calls_are_left_alone(
    record: Any, wire: Any, samples: Any, ask: Any, is_stream: bool
) -> None:
    spans = record(sampler=ALWAYS_OFF)
    if is_stream:
        stream = ask(wire.streams(samples.stream()).client(), stream=True)
        assert type(stream._iterator).__module__ != "tollway.openai.stream"
        list(stream)
        assert "stream_options" not in wire.sent()
    else:
        ask(wire.says(samples.chat()).client())

    assert spans.all() == ()


def test_unsampled_decision_reaches_what_runs_inside(
    record: Any, wire: Any, samples: Any, ask: Any
) -> None:
    inside = []

    def answer(request: Any) -> Any:
        inside.append(trace.get_current_span().get_span_context())
        return wire.http.Response(200, json=samples.chat())

    record(sampler=ALWAYS_OFF)
    wire.answers.append(answer)
    ask(wire.client())

    assert inside[0].is_valid
    assert not inside[0].trace_flags.sampled


def test_call_is_current_while_the_request_runs(
    spans: Any, wire: Any, samples: Any, ask: Any
) -> None:
    def answer(request: Any) -> Any:
        with spans.provider.get_tracer("http").start_as_current_span("POST"):
            return wire.http.Response(200, json=samples.chat())

    wire.answers.append(answer)
    ask(wire.client())

    call, inner = spans.named("chat gpt-4o-mini"), spans.named("POST")
    assert inner.parent.span_id == call.context.span_id
    assert not trace.get_current_span().get_span_context().is_valid


def _points(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data else []:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                found[metric.name] = list(metric.data.data_points)
    return found


@pytest.mark.parametrize("sampler", [None, ALWAYS_OFF])
def test_metrics_are_recorded_where_a_meter_provider_exists(
    record: Any, wire: Any, samples: Any, ask: Any, sampler: Any
) -> None:
    reader = InMemoryMetricReader()
    record(sampler=sampler, meter_provider=MeterProvider([reader]))
    ask(wire.says(samples.chat()).client())
    wire.answers.clear()
    list(ask(wire.streams(samples.stream()).client(), stream=True))
    wire.answers.clear()
    with pytest.raises(openai.APIStatusError):
        ask(wire.says({}, status=500).client())

    points = _points(reader)
    durations = points["gen_ai.client.operation.duration"]
    assert sum(point.count for point in durations) == 3
    failed = [point for point in durations if "error.type" in point.attributes]
    assert [point.attributes["error.type"] for point in failed] == ["InternalServerError"]
    tokens = {
        point.attributes["gen_ai.token.type"]: point
        for point in points["gen_ai.client.token.usage"]
    }
    assert (tokens["input"].count, tokens["input"].sum) == (2, 40)
    assert (tokens["output"].count, tokens["output"].sum) == (2, 18)
    assert points["gen_ai.client.operation.time_to_first_chunk"][0].count == 1
    assert tokens["input"].attributes["gen_ai.request.model"] == "gpt-4o-mini"
    assert tokens["input"].attributes["gen_ai.response.model"] == "gpt-4o-mini-2024-07-18"


def test_no_metrics_without_a_meter_provider(record: Any) -> None:
    from tollway._setup import current

    record()
    state = current()
    assert state is not None
    assert not state.metrics.is_live
