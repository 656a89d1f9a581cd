"""Cohorts into one number: by hand, Simpson cases, drifting mixes, unseen cohorts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway_processor.signals.statistics import (
    Arm,
    Criteria,
    State,
    Stratum,
    compare_mean,
    compare_strata,
    find_reversal,
    rate_arm,
)

CRITERIA = Criteria(margin=0.03, floor=0.01)


def test_worked_example_by_hand() -> None:
    # Weights 3 : 1. Difference 0.75 * (0.06 - 0.05) + 0.25 * (0.30 - 0.20) = 0.0325;
    # baseline at the declared mix 0.75 * 0.05 + 0.25 * 0.20 = 0.0875.
    strata = [
        Stratum("easy", 3, rate_arm(2000, 100), rate_arm(500, 30)),
        Stratum("hard", 1, rate_arm(400, 80), rate_arm(200, 60)),
    ]
    found = compare_strata(strata, CRITERIA, is_rate=True)
    assert found.difference == pytest.approx(0.0325)
    assert found.baseline == pytest.approx(0.0875)
    assert found.candidate == pytest.approx(0.12)
    assert found.sizes.n_candidate == 700


def test_one_cohort_is_the_comparison_of_means() -> None:
    baseline, candidate = Arm(900, 450.0, 300.0), Arm(300, 160.0, 110.0)
    alone = compare_mean(baseline, candidate, CRITERIA)
    strata = compare_strata([Stratum("all", 0.2, baseline, candidate)], CRITERIA)
    assert strata.difference == pytest.approx(alone.difference)
    assert (strata.lower, strata.upper) == pytest.approx((alone.lower, alone.upper))


@given(st.floats(0.1, 10))
def test_only_the_ratio_of_weights_matters(scale: float) -> None:
    def compare(factor: float) -> float:
        strata = [
            Stratum("a", 0.7 * factor, rate_arm(900, 40), rate_arm(300, 30)),
            Stratum("b", 0.3 * factor, rate_arm(300, 40), rate_arm(100, 12)),
        ]
        return compare_strata(strata, CRITERIA, is_rate=True).upper

    assert compare(scale) == pytest.approx(compare(1.0))


def test_a_simpson_case_is_named() -> None:
    # Better in both cohorts, but the candidate gets the hard traffic.
    strata = [
        Stratum("easy", 0.5, rate_arm(900, 45), rate_arm(100, 3)),
        Stratum("hard", 0.5, rate_arm(100, 33), rate_arm(900, 260)),
    ]
    found = find_reversal(strata, floor=0.01)
    assert found is not None
    assert found.pooled > 0 > found.stratified
    assert found.cohorts == ("hard", "easy")
    assert compare_strata(strata, CRITERIA, is_rate=True).difference < 0


def test_pooling_that_agrees_is_no_simpson_case() -> None:
    strata = [
        Stratum("easy", 0.5, rate_arm(900, 45), rate_arm(100, 9)),
        Stratum("hard", 0.5, rate_arm(900, 270), rate_arm(100, 40)),
    ]
    assert find_reversal(strata, floor=0.01) is None
    assert find_reversal([], floor=0.01) is None


def test_a_cohort_that_nobody_saw_leaves_the_route_insufficient() -> None:
    seen = Stratum("easy", 0.8, rate_arm(9000, 450), rate_arm(1000, 50))
    unseen = Stratum("hard", 0.2, rate_arm(900, 90), rate_arm(0, 0))
    assert compare_strata([seen, unseen], CRITERIA, is_rate=True).state is State.INSUFFICIENT
    small = Stratum("hard", 0.04, rate_arm(900, 90), rate_arm(0, 0))
    assert compare_strata([seen, small], CRITERIA, is_rate=True).state is not State.INSUFFICIENT


def test_nothing_at_all_is_insufficient() -> None:
    assert compare_strata([], CRITERIA).state is State.INSUFFICIENT


def test_a_small_cohort_borrows_the_larger_variance_of_its_arm() -> None:
    # Three equal costs by chance say nothing about the cohort's spread.
    large = Arm(1000, 0.0, 999.0)
    strata = [
        Stratum("large", 0.5, large, large),
        Stratum("small", 0.5, large, Arm(3, 0.0, 0.0)),
    ]
    trusting = compare_strata([strata[0]], Criteria(0.1, 0.03))
    assert compare_strata(strata, Criteria(0.1, 0.03)).upper > 3 * trusting.upper


def test_a_drifting_mix_is_not_blamed_on_the_candidate() -> None:
    rng = np.random.default_rng(9)
    rates = np.array([0.02, 0.30])
    alarms = 0
    for _ in range(100):
        n = np.zeros((2, 2), dtype=int)
        bad = np.zeros((2, 2), dtype=int)
        for step in range(20):
            share, hard = 0.05 + 0.025 * step, 0.05 + 0.02 * step
            size = rng.multinomial(
                200,
                [(1 - hard) * (1 - share), (1 - hard) * share, hard * (1 - share), hard * share],
            ).reshape(2, 2)
            n += size
            bad += rng.binomial(size, rates[:, None])
            strata = [
                Stratum(
                    str(k),
                    0.5,
                    rate_arm(int(n[k, 0]), int(bad[k, 0])),
                    rate_arm(int(n[k, 1]), int(bad[k, 1])),
                )
                for k in range(2)
            ]
            if compare_strata(strata, CRITERIA, is_rate=True).state is State.REGRESSED:
                alarms += 1
                break
    # 5 % of 100 is 5; more than 10 has a probability of 1 % at the nominal level.
    assert alarms <= 10
