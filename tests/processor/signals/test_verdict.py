"""Verdicts: what rolls back, what holds back a promotion, and the one alarm."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tollway_processor.signals.statistics import (
    Comparison,
    Criteria,
    Decision,
    Nature,
    Role,
    Signal,
    State,
    check_sample_ratio,
    compare_mean,
    compare_rate,
    decide,
    default_weights,
    find_cheaper_but_worse,
    rate_arm,
)
from tollway_processor.signals.statistics.arms import Arm
from tollway_processor.signals.statistics.verdict import family_evidence

CRITERIA = Criteria(margin=0.03, floor=0.01)


def rate(n_b: int, bad_b: int, n_c: int, bad_c: int) -> Comparison:
    return compare_rate(rate_arm(n_b, bad_b), rate_arm(n_c, bad_c), CRITERIA, prior_rate=0.05)


def log_cost(difference: float) -> Comparison:
    baseline, candidate = Arm(2000, 0.0, 500.0), Arm(400, 400 * difference, 100.0 + 400)
    return compare_mean(baseline, candidate, Criteria(0.05, 0.02), is_log=True)


HELD = Signal("json_fail", None, rate(9000, 450, 1000, 50))
HELD_IN_COHORT = Signal("json_fail", "easy", rate(9000, 450, 1000, 50))
BROKEN = Signal("invalid_arguments", "account-closure", rate(75, 3, 75, 30))
UNDECIDED = Signal("escalation", None, rate(150, 8, 150, 7))
UNMEASURED = Signal("groundedness", "rare", None)
CHEAPER = Signal("cost_usd", None, log_cost(-1.0), Role.GOAL, Nature.COST)
DEARER = Signal("cost_usd", None, log_cost(1.0), Role.GOAL, Nature.COST)


def test_all_guardrails_held_promotes() -> None:
    verdict = decide([HELD, HELD_IN_COHORT, CHEAPER])
    assert verdict.decision is Decision.PROMOTE
    assert verdict.headline.startswith("Promote: All 2 guardrails held")
    assert verdict.cheaper_but_worse is None
    assert verdict.traces_needed == 0


def test_one_broken_cohort_rolls_back_and_is_named_first() -> None:
    verdict = decide([HELD, BROKEN, UNDECIDED, CHEAPER])
    assert verdict.decision is Decision.ROLLBACK
    assert "invalid_arguments got worse on cohort account-closure" in verdict.headline
    assert "4.0 % to 40.0 % (+36.0 points)" in verdict.headline
    assert verdict.log_e_rollback >= math.log(20)


def test_cheaper_but_worse_names_both_sides() -> None:
    alarm = decide([HELD, BROKEN, CHEAPER]).cheaper_but_worse
    assert alarm is not None
    assert [signal.metric for signal in alarm.gains] == ["cost_usd"]
    assert [signal.cohort for signal in alarm.losses] == ["account-closure"]


def test_cheaper_and_as_good_is_no_alarm() -> None:
    assert find_cheaper_but_worse([HELD, CHEAPER]) is None
    assert find_cheaper_but_worse([BROKEN, DEARER]) is None
    assert find_cheaper_but_worse([]) is None


def test_a_cohort_that_does_not_matter_raises_the_alarm_and_rolls_nothing_back() -> None:
    ignored = Signal("invalid_arguments", "tests", BROKEN.comparison, has_weight=False)
    verdict = decide([HELD, ignored, CHEAPER])
    assert verdict.decision is Decision.PROMOTE
    assert verdict.cheaper_but_worse is not None


def test_a_missing_metric_never_passes() -> None:
    verdict = decide([HELD, UNMEASURED])
    assert verdict.decision is Decision.HOLD
    assert "groundedness has too little data on cohort rare: nothing was measured" in (
        verdict.headline
    )
    assert verdict.traces_needed is None


def test_an_undecided_guardrail_holds_and_says_how_many_traces_are_needed() -> None:
    verdict = decide([HELD, UNDECIDED])
    assert verdict.decision is Decision.HOLD
    assert verdict.traces_needed
    assert f"about {verdict.traces_needed:,} more needed" in verdict.headline


def test_no_guardrail_is_nothing_to_promote_on() -> None:
    assert decide([CHEAPER]).decision is Decision.HOLD
    assert decide([]).decision is Decision.HOLD


def test_a_goal_that_regressed_holds() -> None:
    verdict = decide([HELD, DEARER])
    assert verdict.decision is Decision.HOLD
    assert "cost_usd got worse" in verdict.headline


def test_a_watched_metric_decides_nothing() -> None:
    watched = Signal("tokens", None, BROKEN.comparison, Role.WATCHED, Nature.VOLUME)
    assert decide([HELD, watched]).decision is Decision.PROMOTE


def test_a_mismatched_split_is_not_promoted_on() -> None:
    verdict = decide([HELD], sample_ratio=check_sample_ratio(9000, 700, 0.1))
    assert verdict.decision is Decision.HOLD
    assert "instead of 10.0%" in verdict.headline
    fitting = decide([HELD], sample_ratio=check_sample_ratio(9000, 1000, 0.1))
    assert fitting.decision is Decision.PROMOTE


def test_labels_that_have_not_arrived_hold() -> None:
    assert decide([HELD], are_labels_settled=False).decision is Decision.HOLD


def test_observational_is_said() -> None:
    verdict = decide([HELD], is_observational=True)
    assert verdict.decision is Decision.PROMOTE
    assert verdict.reasons[-1].startswith("Observational")


def test_a_rollback_stands() -> None:
    verdict = decide([HELD], rolled_back="It was found worse before.")
    assert verdict.decision is Decision.ROLLBACK
    assert verdict.headline.startswith("Roll back: It was found worse before")
    assert "a variant name of its own" in verdict.reasons[1]


def test_one_weak_regression_among_many_cells_is_not_yet_a_rollback() -> None:
    weak = Signal("json_fail", "rare", rate(4500, 225, 500, 42))
    assert weak.state is State.REGRESSED
    others = [Signal("json_fail", f"cohort-{k}", HELD.comparison) for k in range(30)]
    verdict = decide([HELD, weak, *others])
    assert verdict.decision is Decision.HOLD
    assert "json_fail got worse on cohort rare" in verdict.headline
    assert decide([weak]).decision is Decision.ROLLBACK


def test_half_of_the_weight_is_the_routes_and_half_the_cohorts() -> None:
    weights = default_weights([HELD, UNDECIDED, BROKEN, HELD_IN_COHORT, UNMEASURED])
    assert weights["json_fail", None] == pytest.approx(1 / 4)
    assert weights["invalid_arguments", "account-closure"] == pytest.approx(1 / 6)
    assert sum(weights.values()) == pytest.approx(1)
    assert sum(default_weights([HELD]).values()) == pytest.approx(1)


def test_declared_weights_are_scaled_and_others_get_none() -> None:
    broken = family_evidence([BROKEN])
    declared = family_evidence([BROKEN, HELD], {BROKEN.key: 3.0, HELD.key: 1.0})
    assert declared == pytest.approx(broken + math.log(0.75))
    assert family_evidence([BROKEN], {HELD.key: 1.0}) == -math.inf


def test_harm_below_the_floor_is_no_evidence() -> None:
    trifle = Signal("json_fail", None, rate(2_000_000, 100_000, 2_000_000, 112_000))
    assert trifle.comparison is not None
    assert trifle.comparison.e_regressed > 20
    assert trifle.log_e_regressed == -math.inf


def test_an_equal_candidate_watched_over_twelve_cells_is_rarely_rolled_back() -> None:
    rng = np.random.default_rng(12)
    criteria = Criteria(margin=0.2, floor=0.02)
    rollbacks = uncorrected = 0
    runs = 100
    for _ in range(runs):
        values = rng.normal(0, 1, (12, 2, 600))
        sums, squares = values.cumsum(axis=2), (values**2).cumsum(axis=2)
        was_called = was_regressed = False
        for n in range(50, 601, 25):
            arms = [
                [
                    Arm(n, float(sums[k, side, n - 1]), float(squares[k, side, n - 1]))
                    for side in (0, 1)
                ]
                for k in range(12)
            ]
            signals = [
                Signal(
                    f"metric-{k}",
                    None if k < 3 else f"cohort-{k}",
                    compare_mean(*arms[k], criteria),
                )
                for k in range(12)
            ]
            was_called |= decide(signals).decision is Decision.ROLLBACK
            was_regressed |= any(signal.state is State.REGRESSED for signal in signals)
        rollbacks += was_called
        uncorrected += was_regressed
    # 5 % of 100 is 5; more than 10 has a probability of 1 % at the nominal level.
    assert rollbacks <= 10
    assert uncorrected > 2 * rollbacks + 5


def test_missed_goal_is_named_before_what_is_open() -> None:
    verdict = decide([UNDECIDED, DEARER])
    assert verdict.decision is Decision.HOLD
    assert verdict.headline.startswith("Hold: cost_usd got worse")
