"""From arms to signals, verdicts and the alarm, as rows."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tollway_processor.signals.arms import RolledBack, RouteArms
from tollway_processor.signals.evaluate import dearest, evaluate, losing_cohorts, variants
from tollway_processor.signals.record import signal_rows, verdict_row
from tollway_processor.signals.signal_columns import finite, signal_block
from tollway_processor.signals.statistics import Arm, Decision, rate_arm
from tollway_processor.signals.traffic import Traffic


def rates(n, bad):
    return rate_arm(n, bad)


def logs(n, mean, spread=0.3):
    return Arm(n, n * mean, n * mean * mean + (n - 1) * spread * spread)


def route(*, teacher_bad, student_bad, rare_n=150, easy_n=1500, outcome=None):
    """Two cohorts; the student costs a tenth; score failures as told for (easy, rare)."""
    arms = {}
    for variant, bad, cost in (("teacher", teacher_bad, -5.0), ("student", student_bad, -7.3)):
        for cohort, n, failed in (("easy", easy_n, bad[0]), ("rare", rare_n, bad[1])):
            arms[cohort, variant, "error"] = rates(n, 0)
            arms[cohort, variant, "log_cost_usd"] = logs(n, cost)
            arms[cohort, variant, "cost_usd"] = logs(n, 2.718**cost, 2.718**cost / 4)
            arms[cohort, variant, "score_fail:json_valid"] = rates(n, failed)
    return arms


BROKEN = {"teacher_bad": (60, 6), "student_bad": (60, 60)}


def test_student_broken_on_a_rare_cohort_is_cheaper_but_worse_there():
    evaluation = evaluate("refunds", RouteArms(route(**BROKEN)), "teacher", "student")
    assert evaluation.verdict.decision is Decision.ROLLBACK
    assert list(losing_cohorts(evaluation)) == ["rare"]
    rows = list(signal_rows(evaluation, "2026-01-01 00:00:00.000"))
    (alarm,) = [row for row in rows if row["state"] == "CHEAPER_BUT_WORSE"]
    assert (alarm["cohort"], alarm["candidate"]) == ("rare", "student")
    assert "json_valid" in alarm["reason"]
    by_key = {(row["cohort"], row["metric"]): row for row in rows}
    assert by_key["rare", "score_fail:json_valid"]["state"] == "REGRESSED"
    assert by_key["easy", "score_fail:json_valid"]["state"] != "REGRESSED"
    assert by_key["*", "cost_usd"]["state"] == "IMPROVED"


def test_equal_student_raises_no_alarm():
    evaluation = evaluate(
        "refunds", RouteArms(route(teacher_bad=(60, 6), student_bad=(60, 6))), "teacher", "student"
    )
    assert evaluation.verdict.decision is not Decision.ROLLBACK
    assert evaluation.verdict.cheaper_but_worse is None


def test_healthy_student_with_enough_traffic_is_promoted():
    arms = route(teacher_bad=(400, 200), student_bad=(400, 200), easy_n=8000, rare_n=4000)
    evaluation = evaluate("refunds", RouteArms(arms), "teacher", "student")
    assert verdict_row(evaluation, "t")["verdict"] == "PROMOTE"


def test_metric_of_one_side_never_passes():
    arms = route(teacher_bad=(400, 200), student_bad=(400, 200), easy_n=8000, rare_n=4000)
    arms["easy", "teacher", "score_fail:groundedness"] = rates(8000, 1)
    evaluation = evaluate("refunds", RouteArms(arms), "teacher", "student")
    assert evaluation.verdict.decision is Decision.HOLD


def test_verdict_of_rollback_stays():
    earlier = RolledBack("2026-11-24 09:12:30.000", "Roll back: refused got worse (1 more).")
    arms = route(teacher_bad=(400, 200), student_bad=(400, 200), easy_n=8000, rare_n=4000)
    evaluation = evaluate("refunds", RouteArms(arms), "teacher", "student", rolled_back=earlier)
    row = verdict_row(evaluation, "2026-11-25 08:00:00.000")
    assert row["verdict"] == "ROLLBACK"
    assert "worse on 2026-11-24 09:12 UTC, and that stands (refused got worse" in row["reason"]
    assert (row["rolled_back_at"], row["rolled_back_for"]) == earlier


def test_outcome_that_one_side_never_had_is_a_rate_of_zero():
    arms = route(teacher_bad=(60, 6), student_bad=(60, 6))
    arms["rare", "student", "outcome:escalation"] = Arm(150, 60, 60, 150, 60, 60, 150)
    evaluation = evaluate("refunds", RouteArms(arms), "teacher", "student")
    (row,) = [
        row for row in signal_rows(evaluation, "t")
        if (row["cohort"], row["metric"]) == ("rare", "outcome:escalation")
    ]  # fmt: skip
    assert (row["baseline_value"], row["baseline_n"], row["state"]) == (0, 150, "REGRESSED")


@pytest.mark.parametrize(
    ("outcome", "state"), [("outcome:thumbs_up", "REGRESSED"), ("outcome:refund", "IMPROVED")]
)
def test_fewer_good_outcomes_are_the_harm(outcome, state):
    arms = route(teacher_bad=(60, 6), student_bad=(60, 6))
    for variant, times in (("teacher", 900), ("student", 450)):
        arms["easy", variant, outcome] = Arm(1500, times, times, 1500, times, times, 1500)
        arms["easy", variant, "error"] = Arm(1500, 0, 0, 1500, 0, 0, 1500)
    evaluation = evaluate("refunds", RouteArms(arms), "teacher", "student")
    (row,) = [
        row
        for row in signal_rows(evaluation, "t")
        if (row["cohort"], row["metric"]) == ("easy", outcome)
    ]
    assert row["state"] == state


def test_baseline_by_default_is_the_variant_that_costs_most():
    arms = RouteArms(route(**BROKEN))
    assert (variants(arms), dearest(arms)) == (["student", "teacher"], "teacher")


def test_block_that_is_written_holds_the_rows():
    arms = route(**BROKEN)
    arms["easy", "teacher", "score_fail:groundedness"] = rates(1500, 1)  # no comparison
    evaluation = evaluate("refunds", RouteArms(arms), "teacher", "student")
    names, block = signal_block([evaluation, evaluation], "2026-01-01 00:00:00.125")
    written = pa.ipc.open_stream(block).read_all().to_pylist()
    rows = list(signal_rows(evaluation, "2026-01-01 00:00:00.125"))
    assert set(names) == set(rows[0]) == set(rows[-1])
    for row in written:
        row["evaluated_at"] = row["evaluated_at"].isoformat(" ", "milliseconds")[:-6]
    alarms = [row for row in rows if row["kind"] == "alarm"]
    assert alarms
    assert written == 2 * [row for row in rows if row["kind"] != "alarm"] + 2 * alarms


def test_numbers_are_kept_to_nine_digits_and_never_infinite():
    told = [0.0, -1 / 3, 123456789.96, 1.5e-12, float("inf"), float("-inf"), float("nan")]
    kept = [0.0, -0.333333333, 123456790.0, 1.5e-12, 1e300, -1e300, 0.0]
    assert finite(told).tolist() == pytest.approx(kept, rel=1e-15)


def test_of_variants_that_cost_alike_the_first_is_the_baseline():
    """A new prompt on the same model: neither is the cheaper one, and noise must not decide."""
    arms = route(**BROKEN)
    for cohort in ("easy", "rare"):
        arms[cohort, "student", "cost_usd"] = logs(1500, 1.05 * 2.718**-5.0)
    came = Traffic(stretches={0: {"teacher": 10}, 60: {"teacher": 9, "student": 9}})
    assert dearest(RouteArms(arms, traffic=came)) == "teacher"
    dearer = {key: arms[key] for key in arms}
    for cohort in ("easy", "rare"):
        dearer[cohort, "student", "cost_usd"] = logs(1500, 2 * 2.718**-5.0)
    assert dearest(RouteArms(dearer, traffic=came)) == "student"
