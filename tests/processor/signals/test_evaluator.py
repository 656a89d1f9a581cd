"""Signals and verdicts in the store: written from statistics, the same however often spans came."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from tollway_processor.signals.evaluator import Evaluator
from tollway_processor.signals.policy import RoutePolicy, SignalsConfig
from tollway_processor.signals.rollup import Rollup


@pytest.fixture(scope="module")
def rollup(store):
    return Rollup(store)


def play(otlp, route):
    """Two variants on two cohorts; the student fails its score on the rare one."""
    spans = []
    for variant, model, broken in (("teacher", "gpt-4o", 2), ("student", "gpt-4o-mini", 30)):
        for cohort, number, failing in (("easy", 200, 6), ("rare", 60, broken)):
            for index in range(number):
                span = otlp.call(
                    gen_ai__request__model=model, gen_ai__response__model=model,
                    tollway__route=route, tollway__cohort=cohort, tollway__variant=variant,
                    session__id=f"{variant}-{cohort}-{index}", input_tokens=100 + index % 7,
                )  # fmt: skip
                event = span.events.add(
                    name="gen_ai.evaluation.result", time_unix_nano=span.start_time_unix_nano
                )
                label = "fail" if index < failing else "pass"
                told = {
                    "gen_ai__evaluation__name": "json_valid",
                    "gen_ai__evaluation__score__label": label,
                }
                event.attributes.extend(otlp.span(**told).attributes)
                spans.append(span)
    return spans


def written(store, table, route):
    return store.rows(
        f"SELECT * EXCEPT evaluated_at FROM {table} WHERE route = {{r:String}} ORDER BY ALL",
        {"r": route},
    )


def test_spans_sent_three_times_change_no_signal(otlp, store, rollup):
    spans = play(otlp, "signalled")
    evaluator = Evaluator(store)
    otlp.send(*spans)
    evaluator.run(rollup.run())
    once = [
        written(store, table, "signalled")
        for table in ("latest_route_signals", "latest_route_verdicts")
    ]
    for _ in range(2):
        otlp.send(*spans)
        evaluator.run(rollup.run())
    again = [
        written(store, table, "signalled")
        for table in ("latest_route_signals", "latest_route_verdicts")
    ]
    assert again == once
    (verdict,) = once[1]
    assert (verdict["baseline"], verdict["candidate"], verdict["verdict"]) == (
        "teacher",
        "student",
        "ROLLBACK",
    )
    alarms = [row["cohort"] for row in once[0] if row["state"] == "CHEAPER_BUT_WORSE"]
    assert alarms == ["rare"]


def test_declared_baseline_wins_over_the_dearest(otlp, store, rollup):
    otlp.send(*play(otlp, "declared"))
    Evaluator(store, SignalsConfig(baselines={"declared": "student"})).run(rollup.run())
    (verdict,) = written(store, "latest_route_verdicts", "declared")
    assert (verdict["baseline"], verdict["candidate"]) == ("student", "teacher")


def test_history_keeps_each_state_of_a_day(otlp, store, rollup):
    first = play(otlp, "history")
    evaluator = Evaluator(store)
    otlp.send(*first[:40], *first[260:300])
    evaluator.run(rollup.run())
    otlp.send(*first)
    evaluator.run(rollup.run())
    states = store.rows(
        "SELECT state FROM route_signals FINAL WHERE route = 'history' AND cohort = '*' AND metric = 'cost_usd' "
        "ORDER BY evaluated_at"
    )
    assert [row["state"] for row in states] == ["INSUFFICIENT", "IMPROVED"]


def test_repaired_candidate_begins_anew_where_that_is_declared(otlp, store, rollup):
    hour_ns = 3_600 * 10**9
    broken, repaired = play(otlp, "anew"), play(otlp, "anew")
    for span in repaired:
        span.start_time_unix_nano += hour_ns
        span.end_time_unix_nano += hour_ns
        for event in span.events:
            event.attributes[1].value.string_value = "pass"

    def verdict(config=None):
        Evaluator(store, config).run(["anew"])
        (row,) = written(store, "latest_route_verdicts", "anew")
        return row

    otlp.send(*broken)
    rollup.run()
    first = verdict()
    otlp.send(*repaired)
    rollup.run()
    again = verdict()
    assert (first["verdict"], again["verdict"]) == ("ROLLBACK", "ROLLBACK")
    assert again["rolled_back_at"] == first["rolled_back_at"]
    assert again["rolled_back_for"] == first["reason"]
    since = datetime.now(UTC) + timedelta(minutes=30)
    anew = verdict(SignalsConfig(routes={"anew": RoutePolicy(since=since)}))
    assert anew["verdict"] == "HOLD", anew["reason"]
    assert anew["rolled_back_at"].startswith("1970")


@pytest.mark.parametrize("hour_s", [3_600, 10])
def test_variants_are_compared_where_both_served(otlp, store, rollup, hour_s):
    """The teacher was fast while it served alone; since the student came, all is slow."""
    route = f"slower-{hour_s}"
    now = time.time_ns()
    spans = []
    for number in range(1200):
        is_alone = number < 600
        variant, model = ("student", "gpt-4o-mini") if number % 2 else ("teacher", "gpt-4o")
        hours = 30 - number / 600 if is_alone else 10 - number / 600
        took_ms = 200 if is_alone or number % 20 < 18 else 900
        spans.append(
            otlp.call(
                gen_ai__request__model=model,
                gen_ai__response__model=model,
                tollway__route=route,
                tollway__variant="teacher" if is_alone else variant,
                start_ns=now - int(hours * hour_s * 10**9),
                duration_ns=took_ms * 10**6,
            )
        )
    otlp.send(*spans)
    Evaluator(store).run(rollup.run())
    (row,) = [
        row
        for row in written(store, "latest_route_signals", route)
        if row["metric"] == "latency_above_p95"
    ]
    assert (row["candidate"], row["cohort"]) == ("student", "*")
    assert row["baseline_value"] == pytest.approx(0.1), "of the time with the student alone"
    assert row["state"] != "REGRESSED"
