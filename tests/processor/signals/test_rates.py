"""Rates: states that agree with their interval, sessions, epochs, false alarms."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway_processor.signals.statistics import (
    Comparison,
    Counts,
    Criteria,
    State,
    clustered_arm,
    compare_rate,
    prior_from,
    rate_arm,
)
from tollway_processor.signals.statistics.evidence import log_threshold
from tollway_processor.signals.statistics.rates import concurrent_rates, rate_test

CRITERIA = Criteria(margin=0.03, floor=0.01)


def compare(n_b: int, bad_b: int, n_c: int, bad_c: int) -> Comparison:
    return compare_rate(rate_arm(n_b, bad_b), rate_arm(n_c, bad_c), CRITERIA, prior_rate=0.05)


def test_a_cohort_that_broke_is_regressed_on_few_traces() -> None:
    found = compare(75, 3, 75, 30)
    assert found.state is State.REGRESSED
    assert found.difference == pytest.approx(0.36)
    assert found.lower > 0.1
    assert found.e_regressed >= 20


def test_an_equal_candidate_holds_at_large_n() -> None:
    found = compare(9000, 450, 1000, 50)
    assert found.state is State.HELD
    assert found.lower < 0 < found.upper < 0.03
    assert found.traces_needed == 0


def test_a_better_candidate_is_improved() -> None:
    assert compare(9000, 900, 1000, 40).state is State.IMPROVED


def test_ten_clean_traces_prove_nothing() -> None:
    found = compare(90, 0, 10, 0)
    assert found.state is State.INSUFFICIENT
    assert found.e_held < 20


def test_zero_events_read_held_only_after_the_minimum() -> None:
    assert compare(450, 0, 50, 0).state is State.INCONCLUSIVE
    assert compare(4500, 9, 500, 0).state in (State.HELD, State.IMPROVED)


def test_a_certain_trifle_is_no_regression() -> None:
    found = compare(2_000_000, 100_000, 2_000_000, 112_000)
    assert found.lower > 0
    assert found.difference < CRITERIA.floor
    assert found.state is State.HELD


def test_without_traces_the_interval_is_everything() -> None:
    found = compare(0, 0, 0, 0)
    assert (found.lower, found.upper, found.state) == (-1, 1, State.INSUFFICIENT)
    assert found.traces_needed is None


@settings(max_examples=150)
@given(
    st.integers(20, 3000),
    st.integers(20, 3000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from([0.01, 0.03, 0.1]),
    st.sampled_from([0.01, 0.05, 0.3]),
)
def test_the_interval_agrees_with_the_evidence(
    n_b: int, n_c: int, share_b: float, share_c: float, margin: float, prior_rate: float
) -> None:
    found = compare_rate(
        rate_arm(n_b, round(n_b * share_b)),
        rate_arm(n_c, round(n_c * share_c)),
        Criteria(margin=margin, floor=0.0),
        prior_rate=prior_rate,
    )
    threshold = log_threshold(0.05)
    assert -1 <= found.lower <= found.difference <= found.upper <= 1
    assert (found.evidence.log_e_regressed >= threshold) == (found.lower >= 0 < found.difference)
    if found.difference < 0:
        assert (found.evidence.log_e_improved >= threshold) == (found.upper <= 0)
    assert (found.evidence.log_e_held >= threshold) == (found.upper <= margin)


@settings(max_examples=60)
@given(st.integers(50, 5000), st.floats(0.0, 0.9))
def test_more_bad_traces_are_never_better(n: int, share: float) -> None:
    bad = round(n * share)
    less, more = compare(n, bad, n, bad), compare(n, bad, n, min(n, bad + n // 20 + 1))
    assert more.difference > less.difference
    assert more.lower >= less.lower - 0.02
    assert more.upper >= less.upper - 0.02


def test_the_interval_is_about_as_wide_as_one_that_may_be_looked_at_for_ever() -> None:
    # The fixed-sample 95 % interval here is +-0.0200; being valid at each look costs a half.
    found = compare(4500, 225, 500, 25)
    assert 0.0191 < found.upper < 0.036
    assert 0.0191 < -found.lower < 0.036


def test_sessions_dilute_the_evidence() -> None:
    rng = random.Random(7)
    sessions_b = [[float(bad)] * 10 for bad in (rng.random() < 0.05 for _ in range(200))]
    sessions_c = [[float(bad)] * 10 for bad in (rng.random() < 0.12 for _ in range(100))]
    baseline, candidate = clustered_arm(sessions_b), clustered_arm(sessions_c)
    clustered = compare_rate(baseline, candidate, CRITERIA, prior_rate=0.05)
    naive = compare_rate(
        replace(baseline, clusters=None, cluster_total_sq=0.0),
        replace(candidate, clusters=None, cluster_total_sq=0.0),
        CRITERIA,
        prior_rate=0.05,
    )
    assert clustered.design_effect == pytest.approx(10, rel=0.1)
    assert clustered.difference == pytest.approx(naive.difference)
    assert clustered.e_regressed < naive.e_regressed
    assert clustered.upper > naive.upper


def test_few_sessions_are_insufficient_however_many_traces() -> None:
    sessions = [[1.0, 0.0] * 50] * 10
    found = compare_rate(clustered_arm(sessions), clustered_arm(sessions), CRITERIA, prior_rate=0.5)
    assert found.state is State.INSUFFICIENT
    assert found.sizes.clusters_candidate == 10
    assert found.traces_needed is not None
    assert found.traces_needed >= 1000


def test_epochs_are_not_fooled_by_a_ramp_while_the_base_rate_drifts() -> None:
    # 2 % bad in the morning at a share of 5 %, 20 % bad at night at a share of 60 %.
    epochs = [Counts(9500, 190, 500, 10), Counts(400, 80, 600, 120)]
    whole = (rate_arm(9900, 270), rate_arm(1100, 130))
    pooled = compare_rate(*whole, CRITERIA, prior_rate=0.03)
    within = compare_rate(*whole, CRITERIA, prior_rate=0.03, epochs=epochs)
    assert pooled.state is State.REGRESSED
    assert within.state is not State.REGRESSED
    assert within.difference == pytest.approx(0, abs=1e-12)


def test_concurrent_rates_of_a_worked_example() -> None:
    # Epoch 1: 0.10 against 0.20, weight 100 * 100 / 200 = 50; epoch 2: 0.5 - 0.5, weight 25;
    # an epoch with one arm says nothing. (50 * 0.1 + 25 * 0) / 75
    epochs = [Counts(100, 10, 100, 20), Counts(50, 25, 50, 25), Counts(900, 900, 0, 0)]
    baseline, candidate = concurrent_rates(epochs)
    assert candidate - baseline == pytest.approx(5 / 75)


def test_traces_needed_are_of_the_right_size() -> None:
    # From nothing known but the rates, HELD takes about 400 candidate traces at a share of 10 %.
    found = compare(270, 13, 30, 2)
    assert found.state is State.INCONCLUSIVE
    assert found.traces_needed is not None
    assert 250 < found.traces_needed + 30 < 800


def test_no_number_of_traces_is_promised_where_none_would_do() -> None:
    found = compare_rate(rate_arm(50, 50), rate_arm(50, 50), Criteria(0.001, 0.0), prior_rate=0.001)
    assert found.traces_needed is None or found.traces_needed > 10_000


@pytest.mark.parametrize(("rate", "others"), [(0.05, 9), (0.5, 1), (0.01, 9)])
def test_an_equal_candidate_watched_at_each_trace_rarely_regresses(
    rate: float, others: int
) -> None:
    rng = random.Random(20)
    alarms = 0
    runs = 120
    for _ in range(runs):
        bad_b = bad_c = 0
        for n_c in range(1, 301):
            bad_c += rng.random() < rate
            bad_b += sum(rng.random() < rate for _ in range(others))
            is_worse = bad_c / n_c - bad_b / (n_c * others) > 0.01
            if n_c < 20 or n_c % 5 or not is_worse:
                continue
            test = rate_test([Counts(n_c * others, bad_b, n_c, bad_c)], 1.5 * rate, 0.03)
            if test.log_e_above(0.0) >= math.log(20):
                alarms += 1
                break
    # 5 % of 120 is 6; more than 11 has a probability of 1 % at the nominal level.
    assert alarms <= 11


def test_a_harm_of_exactly_the_margin_is_rarely_called_held() -> None:
    rng = random.Random(21)
    wrong = 0
    for _ in range(150):
        bad_b = bad_c = 0
        for n_c in range(1, 601):
            bad_c += rng.random() < 0.08
            bad_b += sum(rng.random() < 0.05 for _ in range(9))
            if n_c < 50 or n_c % 10 or bad_c / n_c - bad_b / (9 * n_c) > 0.015:
                continue
            test = rate_test([Counts(9 * n_c, bad_b, n_c, bad_c)], 0.05, 0.03)
            if test.log_e_below(0.03) >= math.log(20):
                wrong += 1
                break
    assert wrong <= 13


def test_prior_is_what_history_tells_rounded() -> None:
    assert prior_from(rate_arm(1000, 290), 0.05) == 0.3
    assert prior_from(rate_arm(5000, 0), 0.05) == 0.002
    assert prior_from(rate_arm(300, 300), 0.05) == 0.9
    assert prior_from(rate_arm(199, 60), 0.05) == 0.05
