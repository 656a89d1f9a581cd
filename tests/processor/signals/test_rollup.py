"""Traces and route statistics, computed from what was stored, however it arrived."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tollway_processor.errors import RetryableError
from tollway_processor.signals.rollup import Rollup

DAY_NS = 86_400 * 10**9
CALL_USD = Decimal("0.00035")  # gpt-4o: 100 × 2.5e-6 + 10 × 1e-5


@pytest.fixture(scope="module")
def rollup(store):
    return Rollup(store)


def trace(otlp, trace_id):
    (row,) = otlp.stored("traces", trace_id)
    return row


def usd(value):
    return Decimal(str(value))


def test_trace_sums_its_calls_under_its_root(otlp, rollup):
    root = otlp.span(
        name="POST /support", tollway__route="sums", tollway__cohort="vip", user__id="u"
    )
    one = otlp.call(trace_id=root.trace_id, parent=root.span_id)
    two = otlp.call(trace_id=root.trace_id, parent=root.span_id, tollway__variant="student")
    tool = otlp.span(
        trace_id=root.trace_id, parent=one.span_id, gen_ai__operation__name="execute_tool"
    )
    tool.status.code = Status.STATUS_CODE_ERROR
    otlp.send(root, one, two, tool)
    rollup.run()
    row = trace(otlp, root.trace_id)
    expected = {
        "route": "sums", "route_source": "tollway.route", "cohort": "vip", "variant": "student",
        "name": "POST /support", "user_id": "u", "spans": 4, "calls": 2, "tool_calls": 1,
        "tool_errors": 1, "errors": 0, "failed": False, "input_tokens": 200, "output_tokens": 20,
        "unpriced_calls": 0, "models": ["gpt-4o-2024-08-06"],
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert usd(row["cost_usd"]) == 2 * CALL_USD


def test_call_told_by_framework_and_client_is_paid_once(otlp, rollup):
    outer = otlp.call(tollway__route="nested", input_tokens=120)
    middle = otlp.span(trace_id=outer.trace_id, parent=outer.span_id, name="step")
    inner = otlp.call(trace_id=outer.trace_id, parent=middle.span_id)
    otlp.send(inner)
    otlp.send(middle, outer)
    rollup.run()
    row = trace(otlp, outer.trace_id)
    assert (row["calls"], usd(row["cost_usd"])) == (1, CALL_USD)
    assert usd(row["cost_gap_usd"]) == 20 * Decimal("2.5e-6")


def test_inner_call_without_tokens_leaves_the_cost_to_the_outer(otlp, rollup):
    outer = otlp.call(tollway__route="nested")
    inner = otlp.span(
        trace_id=outer.trace_id, parent=outer.span_id, gen_ai__operation__name="chat",
        gen_ai__request__model="gpt-4o",
    )  # fmt: skip
    otlp.send(outer, inner)
    rollup.run()
    row = trace(otlp, outer.trace_id)
    assert (row["calls"], usd(row["cost_usd"]), usd(row["cost_gap_usd"])) == (1, CALL_USD, 0)


def test_unpriced_call_is_counted_and_never_zero(otlp, rollup):
    lone = otlp.call(gen_ai__request__model="nobody", gen_ai__response__model="nobody")
    priced = otlp.call()
    other = otlp.call(trace_id=priced.trace_id, parent=priced.span_id,
                      gen_ai__request__model="nobody", gen_ai__response__model="nobody")  # fmt: skip
    sibling = otlp.call(
        trace_id=priced.trace_id, gen_ai__request__model="nobody", gen_ai__response__model="nobody"
    )
    otlp.send(lone, priced, other, sibling)
    rollup.run()
    assert (
        trace(otlp, lone.trace_id)["cost_usd"],
        trace(otlp, lone.trace_id)["unpriced_calls"],
    ) == (None, 1)
    mixed = trace(otlp, priced.trace_id)
    assert (usd(mixed["cost_usd"]), mixed["unpriced_calls"]) == (CALL_USD, 1)


def test_background_answer_is_paid_where_it_is_fetched_and_counts_once(otlp, rollup):
    root = otlp.span(name="job")
    asked = otlp.span(
        trace_id=root.trace_id, parent=root.span_id, gen_ai__operation__name="chat",
        gen_ai__request__model="gpt-4o",
    )  # fmt: skip
    fetched = otlp.call(
        trace_id=root.trace_id, parent=root.span_id, gen_ai__operation__name="retrieve_response"
    )
    otlp.send(root, asked, fetched)
    rollup.run()
    row = trace(otlp, root.trace_id)
    assert (row["calls"], usd(row["cost_usd"])) == (1, CALL_USD)


def test_mirrored_call_is_the_experiments_cost(otlp, rollup):
    shown = otlp.call()
    mirrored = otlp.call(trace_id=shown.trace_id, tollway__shadow=True)
    otlp.send(shown, mirrored)
    rollup.run()
    row = trace(otlp, shown.trace_id)
    assert (usd(row["cost_usd"]), usd(row["shadow_cost_usd"])) == (CALL_USD, CALL_USD)


def test_route_falls_back_on_the_root(otlp, rollup):
    web = otlp.span(name="POST", http__route="/v1/support")
    job = otlp.span(name="nightly summary")
    otlp.send(web, job)
    rollup.run()
    told = [
        (row["route"], row["route_source"])
        for row in (trace(otlp, web.trace_id), trace(otlp, job.trace_id))
    ]
    assert told == [("/v1/support", "http.route"), ("nightly summary", "root_name")]


def test_variant_falls_back_on_the_model_of_the_largest_call(otlp, rollup):
    small = otlp.call(gen_ai__response__model="gpt-4o-mini")
    large = otlp.call(trace_id=small.trace_id, input_tokens=5000)
    otlp.send(small, large)
    rollup.run()
    assert trace(otlp, small.trace_id)["variant"] == "gpt-4o-2024-08-06"


def snapshot(otlp, route):
    """Everything computed of a route, less the times of computing."""
    traces = otlp.store.rows(
        "SELECT * EXCEPT rolled_up_at FROM traces FINAL WHERE route = {r:String} ORDER BY trace_id",
        {"r": route},
    )
    stats = otlp.store.rows(
        "SELECT * EXCEPT (computed_at, latency_sketch, ttft_sketch), finalizeAggregation(latency_sketch) AS latency "
        "FROM route_stats FINAL WHERE route = {r:String} ORDER BY ALL", {"r": route}
    )  # fmt: skip
    return traces, stats


def test_request_sent_three_times_changes_nothing(otlp, rollup):
    spans = [otlp.call(tollway__route="thrice", tollway__variant="a") for _ in range(5)]
    otlp.send(*spans)
    rollup.run()
    once = snapshot(otlp, "thrice")
    for _ in range(2):
        otlp.send(*spans)
        rollup.run()
    assert snapshot(otlp, "thrice") == once
    assert once[1][0]["traces"] == 5


@pytest.mark.slow
def test_any_order_of_arrival_ends_in_the_same_rows(otlp, rollup):
    told = {}
    for route, shuffled in (("ordered", False), ("shuffled", True)):
        rng = random.Random(7)
        spans = []
        for number in range(6):
            root = otlp.span(tollway__route=route, tollway__cohort=f"c{number % 2}", tollway__variant="v",
                             session__id=f"s{number % 3}", start_ns=1_790_000_000_000_000_000 + number)  # fmt: skip
            calls = [otlp.call(trace_id=root.trace_id, parent=root.span_id, input_tokens=10 * (k + number),
                               start_ns=root.start_time_unix_nano + k) for k in range(3)]  # fmt: skip
            spans += [root, *calls]
        if shuffled:
            spans = spans * 2
            rng.shuffle(spans)
        for start in range(0, len(spans), 5):
            otlp.send(*spans[start : start + 5])
            rollup.run()
        traces, stats = snapshot(otlp, route)
        for row in traces:
            del row["trace_id"], row["route"]
        for row in stats:
            del row["route"]
        told[route] = (sorted(map(str, traces)), stats)
    assert told["ordered"] == told["shuffled"]


def test_late_root_moves_the_trace_and_empties_its_old_key(otlp, rollup):
    root = otlp.span(tollway__route="moved-to", name="root")
    early = otlp.call(trace_id=root.trace_id, parent=root.span_id, name="moved-from")
    otlp.send(early)
    rollup.run()
    assert trace(otlp, root.trace_id)["route"] == "moved-from"
    otlp.send(root)
    changed = rollup.run()
    assert {"moved-from", "moved-to"} <= set(changed)
    counts = otlp.store.rows(
        "SELECT route, sum(traces) AS n FROM route_stats FINAL WHERE route LIKE 'moved%' GROUP BY route ORDER BY route"
    )
    assert [(row["route"], row["n"]) for row in counts] == [("moved-from", 0), ("moved-to", 1)]


def test_late_score_and_outcome_reach_trace_and_views(otlp, rollup):
    spans = [
        otlp.call(tollway__route="judged", tollway__cohort="vip", tollway__variant="v")
        for _ in range(4)
    ]
    otlp.send(*spans)
    rollup.run()
    for span, value in zip(spans[:2], ("0.0", "1.0"), strict=True):
        for name, kind in (("json_valid", ""), ("escalation", "outcome")):
            judged = otlp.span(
                trace_id=span.trace_id, name="gen_ai.evaluation.result", duration_ns=0
            )
            event = judged.events.add(
                name="gen_ai.evaluation.result", time_unix_nano=time.time_ns()
            )
            told = {
                "gen_ai__evaluation__name": name, "gen_ai__evaluation__score__value": value,
                "tollway__score__kind": kind, "tollway__score__trace_id": span.trace_id.hex(),
            }  # fmt: skip
            event.attributes.extend(otlp.span(**told).attributes)
            otlp.send(judged)
    rollup.run()
    row = trace(otlp, spans[0].trace_id)
    assert (row["scores"], row["score_fails"], row["outcomes"]) == (
        {"json_valid": 0}, {"json_valid": 1}, {"escalation": 0},
    )  # fmt: skip
    fails = otlp.store.rows(
        "SELECT traces, fails, fail_rate FROM eval_fail_rate_by_cohort WHERE route = 'judged'"
    )
    assert fails == [{"traces": 2, "fails": 1, "fail_rate": 0.5}]
    outcomes = otlp.store.rows(
        "SELECT traces, times, rate FROM outcome_rate_by_cohort WHERE route = 'judged'"
    )
    assert outcomes == [{"traces": 4, "times": 1, "rate": 0.25}]


def test_statistics_are_the_sums_over_traces_and_sessions(otlp, rollup):
    sessions = {"s1": [100, 200], "s2": [400], "s3": [50, 50, 50]}
    for session, tokens in sessions.items():
        otlp.send(*(otlp.call(tollway__route="sums-by-session", session__id=session, input_tokens=n, output_tokens=0)
                    for n in tokens))  # fmt: skip
    rollup.run()
    (row,) = otlp.store.rows(
        "SELECT metrics.name AS names, metrics.n AS n, metrics.total AS total, metrics.clusters AS clusters, "
        "metrics.cluster_total_sq AS sq, metrics.cluster_cross AS cross, metrics.cluster_size_sq AS sizes, sessions "
        "FROM route_stats FINAL WHERE route = 'sums-by-session'"
    )
    at = row["names"].index("cost_usd")
    rate = 2.5e-6
    per_session = [sum(tokens) * rate for tokens in sessions.values()]
    counts = [len(tokens) for tokens in sessions.values()]
    assert (row["n"][at], row["clusters"][at], row["sessions"]) == (6, 3, 3)
    assert row["total"][at] == pytest.approx(sum(per_session))
    assert row["sq"][at] == pytest.approx(sum(s * s for s in per_session))
    assert row["cross"][at] == pytest.approx(
        sum(s * n for s, n in zip(per_session, counts, strict=True))
    )
    assert row["sizes"][at] == sum(n * n for n in counts)


def test_rollup_goes_on_where_the_last_process_stopped(otlp, rollup, store):
    span = otlp.call(tollway__route="resumed")
    otlp.send(span)
    assert "resumed" in Rollup(store).run()
    assert trace(otlp, span.trace_id)["calls"] == 1


def test_commits_in_flight_are_left_for_the_next_run(otlp, store):
    span = otlp.call(tollway__route="in-flight")
    otlp.send(span)
    held = Rollup(store, lambda: otlp.last_stamp_ns)  # that stamp itself is not yet committed
    held.run()
    assert otlp.stored("traces", span.trace_id) == []
    Rollup(store).run()
    assert trace(otlp, span.trace_id)["route"] == "in-flight"


@pytest.mark.slow
def test_rollup_that_is_refused_memory_goes_on_in_smaller_steps(otlp, store):
    spans = [otlp.call(tollway__route="stepped") for _ in range(8)]
    for span in spans:
        otlp.send(span)  # one commit each: steps end at commits
    refusing = Refusing(store, most_traces=2)
    rollup = Rollup(refusing)
    for _ in range(20):
        try:
            rollup.run()
        except RetryableError:
            continue
        break
    rows = store.rows("SELECT count() AS n FROM traces FINAL WHERE route = 'stepped'")
    assert (rows[0]["n"], refusing.refused > 1) == (8, True)


class Refusing:
    """A store whose engine has memory for a few traces a statement."""

    is_shared = False

    def __init__(self, store, most_traces):
        self.store = store
        self.most_traces = most_traces
        self.refused = 0

    def now_ns(self):
        return self.store.now_ns()

    def rows(self, sql, parameters=None):
        return self.store.rows(sql, parameters)

    def command(self, sql, parameters=None):
        if "INSERT INTO traces" in sql:
            touched = self.store.rows(
                "SELECT uniq(trace_id) AS n FROM touched_traces WHERE "
                "ingested_at > fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC') "
                "AND ingested_at <= fromUnixTimestamp64Nano({until_ns:Int64}, 'UTC')",
                {name: parameters[name] for name in ("after_ns", "until_ns")},
            )
            if touched[0]["n"] > self.most_traces:
                self.refused += 1
                raise RetryableError("Code: 241. Memory limit exceeded")
        self.store.command(sql, parameters)


def test_trace_that_turns_out_to_begin_the_day_before_moves_there(otlp, rollup):
    midnight_ns = 1_790_000_000 // 86_400 * 86_400 * 10**9
    late = otlp.call(start_ns=midnight_ns + 10**9, tollway__route="midnight")
    otlp.send(late)
    rollup.run()
    root = otlp.span(
        trace_id=late.trace_id, span_id=b"\0" * 7 + b"\7", start_ns=midnight_ns - 10**9
    )
    otlp.send(root)
    rollup.run()
    for is_each_day_read_by_itself in (0, 1):
        found = otlp.store.rows(
            "SELECT toString(toDate(started_at)) AS day, calls FROM traces FINAL WHERE route = 'midnight' "
            f"SETTINGS do_not_merge_across_partitions_select_final = {is_each_day_read_by_itself}"
        )
        assert found == [{"day": "2026-09-20", "calls": 1}]
    buckets = otlp.store.rows("SELECT toString(toDate(bucket)) AS day FROM route_stats FINAL WHERE route = 'midnight' AND traces > 0")  # fmt: skip
    assert buckets == [{"day": "2026-09-20"}]


def test_statistics_that_are_refused_memory_are_computed_in_halves(otlp, store):
    hour_ns = 3600 * 10**9
    start_ns = 1_790_000_000 // 86_400 * 86_400 * 10**9
    otlp.send(
        *(otlp.call(tollway__route="halved", start_ns=start_ns + n * 6 * hour_ns) for n in range(4))
    )
    rollup = Rollup(Narrow(store, most_hours=6))
    assert "halved" in rollup.run()
    rows = store.rows("SELECT count() AS n FROM route_stats FINAL WHERE route = 'halved' AND traces = 1")  # fmt: skip
    assert rows == [{"n": 4}]


class Narrow(Refusing):
    """A store whose engine has memory for the statistics of a few hours a statement."""

    def __init__(self, store, most_hours):
        super().__init__(store, most_traces=10**9)
        self.most_s = most_hours * 3600

    def command(self, sql, parameters=None):
        is_stats = "INSERT INTO route_stats" in sql
        if is_stats and parameters["last_s"] - parameters["first_s"] > self.most_s:
            raise RetryableError("Code: 241. Memory limit exceeded")
        self.store.command(sql, parameters)


def test_span_sent_again_with_the_start_of_another_day_is_one_span(otlp, rollup, store):
    """Partitions are days; FINAL must merge across them, also where a day is asked for."""
    now_ns = time.time_ns()
    early = otlp.call(start_ns=now_ns - 3 * DAY_NS)
    again = otlp.call(
        trace_id=early.trace_id, span_id=early.span_id, start_ns=now_ns - DAY_NS, input_tokens=200
    )
    otlp.send(early)
    rollup.run()
    otlp.send(again)
    (row,) = otlp.stored("spans", early.trace_id)
    assert row["input_tokens"] == 200
    sql = (
        "SELECT count() AS n FROM spans FINAL WHERE trace_id = {id:String} "
        "AND toDate(started_at) = {day:Date}"
    )
    counts = [
        store.rows(sql, {"id": early.trace_id.hex(), "day": day_of(span)})[0]["n"]
        for span in (early, again)
    ]
    assert counts == [0, 1]
    rollup.run()
    (trace,) = otlp.stored("traces", early.trace_id)
    assert (trace["spans"], trace["calls"], trace["input_tokens"]) == (1, 1, 200)


def day_of(span):
    return datetime.fromtimestamp(span.start_time_unix_nano // 10**9, UTC).date().isoformat()
