"""Means: the mixture against its integral, the radius against its root, false alarms."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from tollway_processor.signals.statistics import (
    Arm,
    Criteria,
    State,
    clustered_arm,
    compare_mean,
)
from tollway_processor.signals.statistics.means import (
    MeanEffect,
    log_mixture,
    mean_effect,
    radius,
)

CRITERIA = Criteria(margin=0.1, floor=0.03)


def arm_of(values: list[float]) -> Arm:
    return Arm(len(values), math.fsum(values), math.fsum(value * value for value in values))


def test_mixture_reproduces_the_published_value() -> None:
    assert log_mixture(0.03, 1e-4, 0.03) == pytest.approx(3.589639, abs=5e-7)


def test_worked_example_by_hand() -> None:
    # d = 0.2, V = 0.01, scale = 0.1: r = 1, z = 2, so ln 2 - 0.5 ln 2 + 0.5 * 4 * 0.5
    # + ln Phi(2 * sqrt(0.5)) = 0.346574 + 1 + ln Phi(1.414214) = 1.346574 - 0.081915
    assert log_mixture(0.2, 0.01, 0.1) == pytest.approx(1.264659, abs=2e-6)


@settings(max_examples=40)
@given(st.floats(-5, 8), st.floats(0.05, 3))
def test_mixture_is_the_integral_over_a_half_normal(z: float, scale: float) -> None:
    def integrand(effect: float) -> float:
        return math.exp(z * effect - effect**2 / 2) * 2 * stats.norm.pdf(effect, scale=scale)

    expected, _ = integrate.quad(integrand, 0, scale * 12 + 12, limit=200)
    assert log_mixture(z, 1.0, scale) == pytest.approx(math.log(expected), abs=1e-6)


@settings(max_examples=60)
@given(st.floats(1e-8, 10), st.floats(0.001, 3), st.sampled_from([0.05, 0.01, 0.0017]))
def test_radius_is_where_the_evidence_reaches_its_threshold(
    variance: float, scale: float, alpha: float
) -> None:
    def excess(effect: float) -> float:
        return log_mixture(effect, variance, scale) + math.log(alpha)

    found = radius(variance, scale, alpha)
    root = optimize.brentq(
        excess, 0, 1000 * math.sqrt(variance) * (1 + 1 / scale) + 1000, xtol=1e-14
    )
    assert found == pytest.approx(root, rel=1e-6)
    approximation = math.sqrt(
        2
        * variance
        * (1 + variance / scale**2)
        * math.log1p(math.sqrt(1 + scale**2 / variance) / (2 * alpha))
    )
    assert found <= approximation
    if scale**2 >= variance:
        assert approximation <= 1.012 * found


def test_a_cheaper_candidate_is_improved_and_read_as_a_ratio() -> None:
    rng = random.Random(1)
    baseline = arm_of([rng.gauss(0, 1) for _ in range(2000)])
    candidate = arm_of([rng.gauss(-1, 1) for _ in range(300)])
    found = compare_mean(baseline, candidate, CRITERIA, is_log=True)
    estimate, low, high = found.ratio
    assert found.state is State.IMPROVED
    assert low < estimate < high < 1
    assert low < math.exp(-1) < high


def test_a_score_that_fell_is_regressed() -> None:
    rng = random.Random(2)
    baseline = arm_of([rng.gauss(0.8, 0.1) for _ in range(300)])
    candidate = arm_of([rng.gauss(0.7, 0.1) for _ in range(300)])
    found = compare_mean(baseline, candidate, Criteria(0.03, 0.01), worse="lower")
    assert found.state is State.REGRESSED
    assert found.difference == pytest.approx(baseline.mean - candidate.mean)
    assert found.lower > 0


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=80),
    st.lists(st.floats(0, 1), min_size=2, max_size=80),
)
def test_turning_the_direction_turns_the_claims(first: list[float], second: list[float]) -> None:
    up = compare_mean(arm_of(first), arm_of(second), CRITERIA, worse="higher")
    down = compare_mean(arm_of(first), arm_of(second), CRITERIA, worse="lower")
    assert up.difference == pytest.approx(-down.difference)
    assert up.lower <= up.difference <= up.upper
    assert down.upper >= down.difference >= down.lower


def test_an_unknown_direction_is_refused() -> None:
    with pytest.raises(ValueError, match='must be "higher" or "lower", got \'up\''):
        compare_mean(Arm(0, 0), Arm(0, 0), CRITERIA, worse="up")


def test_fifty_traces_are_the_minimum_whatever_the_criteria_say() -> None:
    values = [0.0, 1.0] * 20
    found = compare_mean(arm_of(values), arm_of([value + 9 for value in values]), CRITERIA)
    assert found.state is State.INSUFFICIENT


def test_held_takes_the_larger_variance_of_both_arms_for_the_candidate() -> None:
    # Unit variances 1 and 4 on 100 and 50 traces: V = 1/50 + 4/100, V_held = 4/50 + 4/100.
    baseline = Arm(100, 0.0, 4 * 99)
    candidate = Arm(50, 0.0, 1 * 49)
    effect = mean_effect(baseline, candidate)
    assert effect == MeanEffect(0.0, pytest.approx(0.06), pytest.approx(0.12), effect.baseline)


def test_a_score_that_never_failed_yet_is_not_held_on_a_hundred_traces() -> None:
    perfect = arm_of([1.0] * 100)
    criteria = Criteria(margin=0.03, floor=0.01)
    blind = compare_mean(perfect, perfect, criteria, worse="lower")
    aware = compare_mean(perfect, perfect, criteria, worse="lower", value_range=(0, 1))
    assert blind.state is State.HELD
    assert aware.state is State.INCONCLUSIVE
    assert aware.traces_needed is not None
    assert 50 < aware.traces_needed < 500


def test_equal_constant_costs_hold() -> None:
    constant = arm_of([0.25] * 200)
    found = compare_mean(constant, constant, CRITERIA)
    assert found.state is State.HELD
    assert found.lower <= 0 <= found.upper


def test_sessions_widen_the_interval() -> None:
    rng = random.Random(3)
    sessions = [[rng.gauss(0, 1)] * 10 for _ in range(60)]
    clustered = compare_mean(clustered_arm(sessions), clustered_arm(sessions), CRITERIA)
    flat = arm_of([value for session in sessions for value in session])
    independent = compare_mean(flat, flat, CRITERIA)
    assert clustered.design_effect == pytest.approx(10, rel=0.05)
    assert clustered.upper > 2 * independent.upper


def test_traces_needed_lead_to_held() -> None:
    rng = np.random.default_rng(4)
    few = arm_of(list(rng.normal(0, 1, 200)))
    found = compare_mean(few, few, CRITERIA)
    assert found.state is State.INCONCLUSIVE
    assert found.traces_needed is not None
    factor = (200 + found.traces_needed) / 200
    grown = Arm(few.n * factor, few.total * factor, few.total_sq * factor)
    assert compare_mean(grown, grown, CRITERIA).state is State.HELD


def test_equal_costs_watched_at_each_look_rarely_regress() -> None:
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(200):
        values_b, values_c = rng.normal(0, 1, 4500), rng.normal(0, 1, 500)
        sums_b, squares_b = values_b.cumsum(), (values_b**2).cumsum()
        sums_c, squares_c = values_c.cumsum(), (values_c**2).cumsum()
        for n in range(50, 501, 10):
            found = compare_mean(
                Arm(9 * n, sums_b[9 * n - 1], squares_b[9 * n - 1]),
                Arm(n, sums_c[n - 1], squares_c[n - 1]),
                CRITERIA,
                is_log=True,
            )
            if found.state is State.REGRESSED:
                alarms += 1
                break
    # 5 % of 200 is 10; more than 17 has a probability of 1 % at the nominal level.
    assert alarms <= 17
