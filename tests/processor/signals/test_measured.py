"""What is measured of real traces, against sums made by hand: sessions, cohorts, pairs, tails."""

from __future__ import annotations

import json
import math
import time

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tollway_processor.signals.arms import Slice, read_arms, store_query, with_pairs
from tollway_processor.signals.policy import SignalsConfig
from tollway_processor.signals.rollup import Rollup

HOUR_NS = 3600 * 10**9
CALL_USD = 0.00035  # gpt-4o: 100 × 2.5e-6 + 10 × 1e-5


@pytest.fixture(scope="module")
def rollup(store):
    return Rollup(store)


def measured(store, route, **cut):
    return read_arms(store_query(store.query), [route], Slice(0, **cut))[route]


def score(otlp, span, name, label, kind=""):
    event = span.events.add(
        name="gen_ai.evaluation.result", time_unix_nano=span.start_time_unix_nano
    )
    told = {
        "gen_ai__evaluation__name": name,
        "gen_ai__evaluation__score__label": label,
        "tollway__score__kind": kind,
    }
    event.attributes.extend(otlp.span(**told).attributes)


def test_sessions_are_clusters_over_hours(otlp, store, rollup):
    now = time.time_ns() - 30 * HOUR_NS
    for hours, tokens in ((0, 100), (1, 200), (25, 400)):
        otlp.send(otlp.call(tollway__route="hours", tollway__variant="v", session__id="s",
                            input_tokens=tokens, start_ns=now + hours * HOUR_NS))  # fmt: skip
    otlp.send(
        otlp.call(tollway__route="hours", tollway__variant="v", session__id="t", start_ns=now)
    )
    rollup.run()
    arm = measured(store, "hours").arms["", "v", "cost_usd"]
    first, second = (3 * 10 * 1e-5 + 700 * 2.5e-6), CALL_USD
    assert (arm.n, arm.clusters, arm.cluster_size_sq) == (4, 2, 9 + 1)
    assert arm.total == pytest.approx(first + second)
    assert arm.cluster_total_sq == pytest.approx(first**2 + second**2)
    assert arm.cluster_cross == pytest.approx(3 * first + second)


def test_what_goes_wrong_in_a_trace_is_counted_once(otlp, store, rollup):
    root = otlp.span(tollway__route="wrong", tollway__variant="v")
    call = otlp.call(
        trace_id=root.trace_id, parent=root.span_id,
        gen_ai__output__messages=json.dumps([{"role": "assistant", "parts": [
            {"type": "tool_call", "name": "refund", "arguments": '{"amount": '}]}]),
    )  # fmt: skip
    for message in ("Read timed out", "1 validation error for refund"):
        tool = otlp.span(
            trace_id=root.trace_id, parent=call.span_id, gen_ai__operation__name="execute_tool"
        )
        tool.status.code, tool.status.message = Status.STATUS_CODE_ERROR, message
        otlp.send(tool)
    empty = otlp.call(tollway__route="wrong", tollway__variant="v", output_tokens=0)
    fine = otlp.call(tollway__route="wrong", tollway__variant="v")
    otlp.send(root, call, empty, fine)
    rollup.run()
    arms = measured(store, "wrong").arms
    told = {name: (arm.n, arm.total) for (cohort, _, name), arm in arms.items() if cohort == ""}
    for name in ("tool_error", "tool_timeout", "invalid_tool_arguments"):
        assert told[name] == (1, 1), name
    assert (told["empty"], told["tool_calls"]) == ((3, 1), (3, 2))
    # The empty answer is paid for and is no success.
    n, total = told["cost_per_success"]
    assert (n, total) == (2, pytest.approx(told["cost_usd"][1]))


def test_built_in_cohorts_need_no_label(otlp, store, rollup):
    def asked(text, **more):
        messages = json.dumps([{"role": "user", "parts": [{"type": "text", "content": text}]}])
        return otlp.call(tollway__route="built-in", tollway__variant="v",
                         gen_ai__input__messages=messages, **more)  # fmt: skip

    spans = [
        asked("Where is my order?"),
        asked("Où est ma commande, s'il vous plaît ?"),
        asked("Где мой заказ?"),  # as JSON escapes
        asked("x", input_tokens=9000),
        asked("again", session__id="s"),
        asked("and again", session__id="s"),
        asked("with tools", llm__tool_call__count=2),
    ]
    otlp.send(*spans)
    rollup.run()
    arms = measured(store, "built-in").arms
    sizes = {cohort: arm.n for (cohort, _, name), arm in arms.items() if name == "error"}
    assert sizes == {
        "": 7, "builtin:long-context": 1, "builtin:multi-turn": 2, "builtin:non-english": 1,
        "builtin:tool-using": 1,
    }  # fmt: skip


def test_releases_and_periods_are_sides(otlp, store, rollup):
    before = time.time_ns() - 2 * HOUR_NS
    for version, number, start in (("1.0", 3, before), ("1.1", 2, time.time_ns() - 10**9)):
        spans = [otlp.call(tollway__route="released", start_ns=start) for _ in range(number)]
        otlp.send(*spans, service__version=version)
    rollup.run()
    releases = measured(store, "released", dimension="release").arms
    assert [releases["", side, "error"].n for side in ("1.0", "1.1")] == [3, 2]
    split_s = before // 10**9 + 60
    periods = measured(store, "released", dimension="period", split_s=split_s).arms
    assert [periods["", side, "error"].n for side in ("before", "after")] == [3, 2]


def test_mirrored_answers_are_pairs(otlp, store, rollup):
    answers = [  # (teacher failed, student failed, student escalated) of each input
        (False, False, False), (False, True, True), (False, True, False), (True, False, False),
        (True, True, False),
    ]  # fmt: skip
    for number, (teacher, student, escalated) in enumerate(answers):
        for variant, failed in (("teacher", teacher), ("student", student)):
            span = otlp.call(tollway__route="mirrored", tollway__variant=variant,
                             tollway__cohort="vip" if variant == "teacher" else "",
                             tollway__pair__id=f"p{number}", tollway__shadow=variant == "student")  # fmt: skip
            score(otlp, span, "json_valid", "fail" if failed else "pass")
            if escalated and variant == "student":
                score(otlp, span, "escalation", "", "outcome")
            otlp.send(span)
    rollup.run()
    query = store_query(store.query)
    arms = read_arms(query, ["mirrored"], Slice(0))["mirrored"]
    pairs = with_pairs(query, arms, "mirrored", "teacher", Slice(0)).pairs
    for cohort in ("*", "vip"):
        told = pairs[cohort, "teacher", "student", "score_fail:json_valid"]
        counts = told.counts
        assert (counts.n, counts.only_candidate_bad, counts.only_baseline_bad, counts.both_bad) == (
            5, 2, 1, 1,
        )  # fmt: skip
        assert (told.differences.total, told.differences.total_sq) == (1, 3)
        assert told.baseline_mean == pytest.approx(2 / 5)
    outcome = pairs["*", "teacher", "student", "outcome:escalation"].counts
    assert (outcome.n, outcome.only_candidate_bad) == (5, 1)
    # A mirrored call costs the experiment, and is compared as what it costs.
    costs = pairs["*", "teacher", "student", "cost_usd"]
    assert (costs.differences.n, costs.differences.total) == (5, pytest.approx(0))


def test_time_to_first_token_and_latency_have_histograms(otlp, store, rollup):
    for seconds in (0.2, 0.4):
        otlp.send(otlp.call(tollway__route="timed", tollway__variant="v", duration_ns=10**9,
                            gen_ai__response__time_to_first_chunk=seconds))  # fmt: skip
    rollup.run()
    query, config = store_query(store.query), SignalsConfig(warm_up_traces=0)
    latency = read_arms(query, ["timed"], Slice(0), config)["timed"].latency
    assert latency["", "v", "duration"].counts == [2]
    assert len(latency["", "v", "ttft"].bins) == 2


def test_cold_start_is_no_measure_of_latency(otlp, store, rollup):
    now = time.time_ns() - 2 * HOUR_NS
    spans = [
        otlp.call(
            tollway__route="cold", tollway__variant="v", start_ns=now + number * 10**10,
            duration_ns=(5 if number < 50 else 1) * 10**9,
        )
        for number in range(100)
    ]  # fmt: skip
    otlp.send(*spans)
    rollup.run()
    route = measured(store, "cold")
    assert route.arms["", "v", "error"].n == 100
    assert route.latency["", "v", "duration"].counts == [pytest.approx(50, abs=2)]
    timed = route.arms["", "v", "log_duration_ms"]
    assert timed.mean == pytest.approx(math.log(1000))
    assert timed.n == route.latency["", "v", "duration"].n


def test_cohort_named_like_another_is_told_apart(otlp, store, rollup):
    for cohort in ("*", "builtin:long-context", "plain"):
        otlp.send(otlp.call(tollway__route="labels", tollway__cohort=cohort, tollway__variant="v"))
    rollup.run()
    cohorts = {cohort for cohort, _, name in measured(store, "labels").arms if name == "error"}
    assert cohorts == {"label:*", "label:builtin:long-context", "plain"}


def test_score_of_one_side_alone_is_an_epoch_of_its_own(otlp, store, rollup):
    """The student's answers were judged days before the teacher's, when all failed more."""
    now, day_ns = time.time_ns(), 24 * HOUR_NS
    spans = []
    for number in range(400):
        variant = "student" if number % 2 else "teacher"
        is_early = number < 200
        start_ns = now - 8 * day_ns + number * (8 * day_ns // 400)
        span = otlp.call(tollway__route="judged", tollway__variant=variant, start_ns=start_ns)
        if variant == "student" or not is_early:
            fails = number % 4 < 2 if is_early else number % 20 < 2
            score(otlp, span, "cited", "fail" if fails else "pass")
        spans.append(span)
    otlp.send(*spans)
    rollup.run()
    route = measured(store, "judged")
    name = "score_fail:cited"
    assert sorted(route.epochs["", "student", name]) == [0, 1]
    assert list(route.epochs["", "teacher", name]) == [1]
    assert route.epochs["", "student", name][1].n == pytest.approx(100, abs=2)
    assert route.epochs["", "student", "error"][0].n == pytest.approx(100, abs=2)
