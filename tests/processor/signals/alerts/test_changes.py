"""A change of state is told once, a recovery only after a fall, whoever finds it."""

from __future__ import annotations

from tollway_processor.signals.alerts.changes import Told, find_changes
from tollway_processor.signals.arms import RouteArms
from tollway_processor.signals.evaluate import evaluate
from tollway_processor.signals.statistics import Arm, rate_arm

VERDICT = ("refunds", "*", "teacher", "student", "verdict")


def evaluation(failed, n=150):
    """A student at a tenth of the cost; its score fails as told on the rare cohort."""
    arms = {}
    for variant, mean, bad in (("teacher", -5.0, n // 25), ("student", -7.3, failed)):
        for cohort, size, count in (("easy", 20 * n, 4 * n // 5), ("rare", n, bad)):
            arms[cohort, variant, "error"] = rate_arm(size, 0)
            logs = Arm(size, size * mean, size * mean * mean + 0.09 * size)
            arms[cohort, variant, "log_cost_usd"] = logs
            arms[cohort, variant, "score_fail:json_valid"] = rate_arm(size, count)
    return evaluate("refunds", RouteArms(arms), "teacher", "student")


def kept(told, changes):
    """What is told after these changes."""
    return told | {
        (c.alert.route, c.alert.cohort, c.alert.baseline, c.alert.candidate, c.alert.metric): Told(
            c.alert.alert_id, c.alert.state
        )
        for c in changes
    }


def states(changes):
    return {(c.alert.metric, c.alert.cohort): c.alert.state for c in changes}


def test_fall_is_told_with_its_reason_and_the_signal_behind_it():
    changes = find_changes(evaluation(60), {})
    found = states(changes)
    assert found["verdict", "*"] == "ROLLBACK"
    assert found["cheaper_but_worse", "rare"] == "CHEAPER_BUT_WORSE"
    assert found["score_fail:json_valid", "rare"] == "REGRESSED"
    (alarm,) = [c for c in changes if c.alert.metric == "cheaper_but_worse"]
    assert "json_valid" in alarm.alert.reason
    assert "cost_usd" in alarm.alert.reason
    assert (alarm.signal.metric, alarm.signal.cohort) == ("score_fail:json_valid", "rare")


def test_same_finding_is_told_once():
    told = kept({}, find_changes(evaluation(60), {}))
    assert find_changes(evaluation(60), told) == []
    assert find_changes(evaluation(61), told) == []


def test_what_waits_for_data_is_never_told():
    assert find_changes(evaluation(1, n=12), {}) == []


def test_promotion_is_told_and_the_hold_that_was_before_is_not():
    assert states(find_changes(evaluation(160, n=4000), {})) == {("verdict", "*"): "PROMOTE"}
    told = {VERDICT: Told("a", "PROMOTE")}
    assert states(find_changes(evaluation(6), told))["verdict", "*"] == "HOLD"


def test_recovery_is_told_only_after_a_fall():
    key = ("refunds", "rare", "teacher", "student", "score_fail:json_valid")
    healthy = evaluation(160, n=4000)
    told = {key: Told("a", "REGRESSED"), VERDICT: Told("b", "PROMOTE")}
    assert states(find_changes(healthy, told)) == {("score_fail:json_valid", "rare"): "HELD"}
    told = {key: Told("c", "IMPROVED"), VERDICT: Told("b", "PROMOTE")}
    assert find_changes(healthy, told) == []


def test_second_fall_is_an_alert_of_its_own_and_every_finder_gives_it_one_id():
    key = ("refunds", "rare", "teacher", "student", "score_fail:json_valid")
    first, again = (find_changes(evaluation(60), {}) for _ in range(2))
    assert [c.alert.alert_id for c in first] == [c.alert.alert_id for c in again]
    told = kept({}, first) | {key: Told("recovered", "HELD")}
    (second,) = find_changes(evaluation(60), told)
    assert second.alert.previous == "HELD"
    assert second.alert.alert_id not in [c.alert.alert_id for c in first]
