"""Mirrored pairs: a sequential McNemar test, its margin form, exact crossing probability."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from tollway_processor.signals.statistics import (
    Arm,
    Criteria,
    PairCounts,
    State,
    clustered_arm,
    compare_paired_mean,
    compare_paired_rate,
    compare_rate,
    rate_arm,
)
from tollway_processor.signals.statistics.paired import PairTest, nearest_null

CRITERIA = Criteria(margin=0.03, floor=0.01)


def relative_risk_form(only_candidate: int, only_baseline: int) -> float:
    """The mean over relative risks of (2q)^B (2 - 2q)^C with q = RR / (1 + RR)."""
    total = 0.0
    for risk in (1.25, 1.5, 2, 3, 5, 10):
        q = risk / (1 + risk)
        total += (2 * q) ** only_candidate * (2 - 2 * q) ** only_baseline
    return math.log(total / 6)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.01, 0.4))
def test_without_a_margin_it_is_the_mean_over_relative_risks(
    only_candidate: int, only_baseline: int, prior: float
) -> None:
    test = PairTest(PairCounts(500, only_candidate, only_baseline), prior)
    expected = relative_risk_form(only_candidate, only_baseline)
    assert test.log_e_above(0.0) == pytest.approx(expected, abs=1e-9)


@given(st.floats(0.001, 0.5), st.floats(0.001, 0.49), st.floats(-0.3, 0.3))
def test_nearest_null_is_the_minimum_that_scipy_finds(
    worse: float, better: float, bound: float
) -> None:
    assume(abs(bound) > 1e-6)

    def divergence(rate: float) -> float:
        null = [rate + bound, rate, 1 - bound - 2 * rate]
        return float(stats.entropy([worse, better, 1 - worse - better], null))

    low, high = max(0.0, -bound) + 1e-9, (1 - bound) / 2 - 1e-9
    found = optimize.minimize_scalar(
        divergence, bounds=(low, high), method="bounded", options={"xatol": 1e-10}
    )
    assert divergence(nearest_null(worse, better, bound)) <= found.fun + 1e-8


@pytest.mark.parametrize(("worse", "better"), [(0.02, 0.02), (0.1, 0.1), (0.3, 0.3)])
@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_evidence_is_expected_to_be_at_most_one_at_the_edge_of_the_null(
    worse: float, better: float, margin: float
) -> None:
    # Harm of exactly the margin: an exact sum over all outcomes of 12 pairs.
    n, shares = 12, (worse + margin, better, 1 - worse - margin - better)
    above = below = 0.0
    for bad_c, bad_b in itertools.product(range(n + 1), repeat=2):
        if bad_c + bad_b > n:
            continue
        likelihood = stats.multinomial.pmf([bad_c, bad_b, n - bad_c - bad_b], n, shares)
        test = PairTest(PairCounts(n, bad_c, bad_b), 0.1)
        above += likelihood * math.exp(test.log_e_above(margin))
        below += likelihood * math.exp(test.log_e_below(margin))
    assert above <= 1 + 1e-9
    assert below <= 1 + 1e-9


@pytest.mark.parametrize(("bound", "worse"), [(0.0, 0.25), (0.2, 0.35)])
def test_exact_probability_of_ever_being_wrong_within_24_pairs(bound: float, worse: float) -> None:
    shares = (worse, worse - bound, 1 - 2 * worse + bound)
    alive = np.zeros((25, 25))
    alive[0, 0] = 1.0
    crossed = 0.0
    for n in range(1, 25):
        moved = alive * shares[2]
        moved[1:, :] += alive[:-1, :] * shares[0]
        moved[:, 1:] += alive[:, :-1] * shares[1]
        for bad_c, bad_b in itertools.product(range(n + 1), repeat=2):
            if bad_c + bad_b > n or not moved[bad_c, bad_b]:
                continue
            test = PairTest(PairCounts(n, bad_c, bad_b), 0.3)
            log_e = test.log_e_above(0.0) if bound == 0 else test.log_e_below(bound)
            if log_e >= math.log(20):
                crossed += moved[bad_c, bad_b]
                moved[bad_c, bad_b] = 0.0
        alive = moved
    assert 0 < crossed <= 0.05


@settings(max_examples=80, deadline=None)
@given(st.integers(20, 2000), st.floats(0, 0.4), st.floats(0, 0.4), st.floats(0.005, 0.3))
def test_the_interval_agrees_with_the_evidence(
    n: int, worse: float, better: float, prior: float
) -> None:
    pairs = PairCounts(n, round(n * worse), round(n * better))
    found = compare_paired_rate(pairs, CRITERIA, prior_discordance=prior)
    assert -1 <= found.lower <= found.difference <= found.upper <= 1
    if found.difference > 0:
        assert (found.e_regressed >= 20) == (found.lower >= 0)
    if found.difference < 0:
        assert (found.e_improved >= 20) == (found.upper <= 0)
    if found.difference < CRITERIA.margin:
        assert (found.e_held >= 20) == (found.upper <= CRITERIA.margin)


def test_pairs_find_what_two_arms_of_as_many_traces_do_not() -> None:
    # 8 % against 13 % bad; 20 of 300 inputs are hard for both.
    paired = compare_paired_rate(PairCounts(300, 19, 4, 20), CRITERIA, prior_discordance=0.08)
    unpaired = compare_rate(rate_arm(300, 24), rate_arm(300, 39), CRITERIA, prior_rate=0.08)
    assert paired.difference == pytest.approx(unpaired.difference)
    assert paired.state is State.REGRESSED
    assert unpaired.state is State.INCONCLUSIVE


def test_equal_pairs_hold_and_say_how_many_more_they_need() -> None:
    few = compare_paired_rate(PairCounts(100, 3, 3), CRITERIA, prior_discordance=0.06)
    many = compare_paired_rate(PairCounts(2000, 60, 60), CRITERIA, prior_discordance=0.06)
    assert few.state is State.INCONCLUSIVE
    assert few.traces_needed is not None
    assert 50 < few.traces_needed < 1900
    assert many.state is State.HELD
    assert (many.baseline, many.candidate) == (0.03, 0.03)


def test_sessions_of_pairs_dilute_the_evidence() -> None:
    sessions = [[1.0] * 10] * 6 + [[0.0] * 10] * 54
    differences = clustered_arm(sessions)
    pairs = PairCounts(600, 60, 0)
    alone = compare_paired_rate(pairs, CRITERIA, prior_discordance=0.1)
    clustered = compare_paired_rate(pairs, CRITERIA, prior_discordance=0.1, differences=differences)
    assert clustered.design_effect == pytest.approx(10, rel=0.05)
    assert clustered.e_regressed < alone.e_regressed


def test_no_pairs_are_insufficient() -> None:
    found = compare_paired_rate(PairCounts(0, 0, 0), CRITERIA, prior_discordance=0.1)
    assert (found.state, found.lower, found.upper) == (State.INSUFFICIENT, -1, 1)


def test_differences_of_pairs_compare_means() -> None:
    rng = random.Random(6)
    values = [rng.gauss(-0.2, 0.3) for _ in range(400)]
    differences = Arm(400, math.fsum(values), math.fsum(value**2 for value in values))
    found = compare_paired_mean(differences, Criteria(0.1, 0.03), baseline_mean=1.5, is_log=True)
    assert found.state is State.IMPROVED
    assert found.ratio[0] == pytest.approx(math.exp(differences.mean))
    assert found.candidate == pytest.approx(1.5 + differences.mean)


def test_equal_pairs_watched_at_each_pair_rarely_regress() -> None:
    rng = random.Random(8)
    alarms = 0
    for _ in range(300):
        bad_c = bad_b = 0
        for n in range(1, 401):
            draw = rng.random()
            bad_c += draw < 0.05
            bad_b += 0.05 <= draw < 0.10
            if n >= 20 and bad_c > bad_b and relative_risk_form(bad_c, bad_b) >= math.log(20):
                alarms += 1
                break
    # 5 % of 300 is 15; more than 24 has a probability of 1 % at the nominal level.
    assert alarms <= 24
