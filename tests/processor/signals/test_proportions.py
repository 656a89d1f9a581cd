"""The safe test of two proportions: oracles, the proof's inequality, exact crossing probability."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from tollway_processor.signals.statistics.proportions import (
    Bet,
    Counts,
    base_rates,
    log_evidence,
    log_likelihood_ratio,
    nearest_null,
    place_bets,
)
from tollway_processor.signals.statistics.rates import rate_test

RATES = st.floats(0.001, 0.999)
SHARES = st.sampled_from([0.01, 0.1, 0.3, 0.5, 0.9])


def test_regressed_reproduces_the_published_value() -> None:
    counts = Counts(4500, 225, 500, 45)
    assert log_likelihood_ratio(counts, 0.05, 0.08) == pytest.approx(5.777851, abs=5e-7)


def test_held_reproduces_the_published_value() -> None:
    counts = Counts(4500, 225, 500, 25)
    log_ratio = log_likelihood_ratio(counts, 0.05, 0.05, bound=0.03)
    assert log_ratio == pytest.approx(3.287701, abs=5e-7)


def test_worked_example_by_hand() -> None:
    # 1 of 10 against 5 of 10, alternative (0.1, 0.5), equal split, so the null is 0.3:
    # 5 ln(.5/.3) + 5 ln(.5/.7) + 1 ln(.1/.3) + 9 ln(.9/.7)
    #   = 2.554128 - 1.682361 - 1.098612 + 2.261829 = 2.034984
    log_ratio = log_likelihood_ratio(Counts(10, 1, 10, 5), 0.1, 0.5)
    assert log_ratio == pytest.approx(2.034984, abs=2e-6)


def test_an_empty_arm_gives_no_evidence() -> None:
    assert log_likelihood_ratio(Counts(0, 0, 50, 50), 0.1, 0.5) == 0
    assert log_likelihood_ratio(Counts(50, 50, 0, 0), 0.1, 0.5, bound=0.1) == 0


@given(RATES, RATES, SHARES, st.floats(-0.9, 0.9))
def test_nearest_null_is_the_minimum_that_scipy_finds(
    baseline: float, candidate: float, share: float, bound: float
) -> None:
    assume(abs(bound) > 1e-6)

    def divergence(rate: float) -> float:
        pairs = ((share, candidate, rate + bound), (1 - share, baseline, rate))
        return sum(w * (stats.entropy([p, 1 - p], [q, 1 - q])) for w, p, q in pairs)

    low, high = max(0.0, -bound) + 1e-9, min(1.0, 1 - bound) - 1e-9
    found = optimize.minimize_scalar(
        divergence, bounds=(low, high), method="bounded", options={"xatol": 1e-10}
    )
    ours = divergence(nearest_null(baseline, candidate, share, bound))
    assert ours <= found.fun + 1e-8


@given(RATES, RATES, SHARES, st.floats(-0.5, 0.5))
def test_one_trace_is_expected_to_give_at_most_one_at_the_corners_of_the_null(
    baseline: float, candidate: float, share: float, bound: float
) -> None:
    # The expectation is linear in the true rates, so the corners of the null decide.
    assume(candidate - baseline > bound + 1e-3)
    null = nearest_null(baseline, candidate, share, bound)
    shifted = null + bound
    corners = {
        (max(0.0, -bound), max(0.0, bound)),
        (min(1.0, 1 - bound), min(1.0, 1 + bound)),
        (1.0, max(0.0, 1 + bound) if bound < 0 else 0.0),
        (max(0.0, -bound), 0.0),
        (1.0, 0.0),
    }
    for true_b, true_c in corners:
        if not (0 <= true_b <= 1 and 0 <= true_c <= 1) or true_c - true_b > bound + 1e-12:
            continue
        of_candidate = true_c * candidate / shifted + (1 - true_c) * (1 - candidate) / (1 - shifted)
        of_baseline = true_b * baseline / null + (1 - true_b) * (1 - baseline) / (1 - null)
        assert share * of_candidate + (1 - share) * of_baseline <= 1 + 1e-6


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.2, 0.5])
@pytest.mark.parametrize(("bound", "is_above"), [(0.0, True), (0.1, False), (0.0, False)])
def test_evidence_of_a_closed_block_is_expected_to_be_at_most_one(
    rate: float, bound: float, is_above: bool
) -> None:
    # Exact: a sum over all outcomes of 8 baseline and 4 candidate traces at the null's edge.
    n_b, n_c = 8, 4
    expectation = 0.0
    for bad_b, bad_c in itertools.product(range(n_b + 1), range(n_c + 1)):
        test = rate_test([Counts(n_b, bad_b, n_c, bad_c)], prior_rate=0.05, margin=0.1)
        log_e = test.log_e_above(bound) if is_above else test.log_e_below(bound)
        likelihood = stats.binom.pmf(bad_b, n_b, rate) * stats.binom.pmf(bad_c, n_c, rate + bound)
        expectation += likelihood * math.exp(log_e)
    assert expectation <= 1 + 1e-9


def crossing_probability(
    bets: list[Bet], bound: float, true_b: float, true_c: float, blocks: int
) -> float:
    """Exact probability that E reaches 20 within `blocks` of one trace an arm, by dynamic
    programming over the counts of bad traces."""
    alive = np.zeros((blocks + 1, blocks + 1))
    alive[0, 0] = 1.0
    crossed = 0.0
    for block in range(1, blocks + 1):
        moved = np.zeros_like(alive)
        moved += alive * (1 - true_b) * (1 - true_c)
        moved[1:, :] += alive[:-1, :] * true_b * (1 - true_c)
        moved[:, 1:] += alive[:, :-1] * (1 - true_b) * true_c
        moved[1:, 1:] += alive[:-1, :-1] * true_b * true_c
        for bad_b, bad_c in itertools.product(range(block + 1), repeat=2):
            counts = Counts(block, bad_b, block, bad_c)
            if log_evidence([counts], bets, bound) >= math.log(20):
                crossed += moved[bad_b, bad_c]
                moved[bad_b, bad_c] = 0.0
        alive = moved
    return crossed


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_exact_probability_of_ever_calling_an_equal_candidate_regressed(rate: float) -> None:
    bets = place_bets(base_rates(0.3), [(0.1, 0.3), (0.2, 0.4), (0.4, 0.3)])
    crossing = crossing_probability(bets, 0.0, rate, rate, blocks=24)
    assert 0 < crossing <= 0.05


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.4])
def test_exact_probability_of_ever_calling_a_harm_of_the_margin_held(rate: float) -> None:
    bound = 0.3
    bets = place_bets(base_rates(0.2), [(-0.2, 0.3), (-0.3, 0.5), (-0.4, 0.2)])
    crossing = crossing_probability(bets, bound, rate, rate + bound, blocks=24)
    assert 0 < crossing <= 0.05


def test_a_large_harm_is_found_within_the_same_24_blocks() -> None:
    bets = place_bets(base_rates(0.1), [(0.1, 0.3), (0.2, 0.4), (0.4, 0.3)])
    assert crossing_probability(bets, 0.0, 0.1, 0.7, blocks=24) > 0.95


@given(RATES, st.floats(-0.99, 0.99), st.floats(0.001, 0.5))
def test_bets_lie_beyond_the_bound_and_weigh_at_most_one(
    prior_rate: float, bound: float, shift: float
) -> None:
    shifts = [(shift, 0.3), (-shift, 0.3), (2 * shift, 0.2), (-2 * shift, 0.2)]
    bets = place_bets(base_rates(prior_rate), shifts)
    assert math.fsum(math.exp(bet.log_weight) for bet in bets) <= 1 + 1e-9
    for bet in bets:
        candidate = bet.candidate(bound)
        if candidate is not None:
            assert 0 < candidate < 1
            assert (candidate - bet.baseline > bound) == (bet.shift > 0)


def test_rare_events_keep_a_bet_on_a_better_candidate() -> None:
    # A margin of 3 points below a rate of 1 % would be a negative rate: a quarter is bet on.
    (bet,) = place_bets(base_rates(0.01)[6:7], [(-0.03, 1.0)])
    assert bet.candidate(0.0) == pytest.approx(0.0025)
    assert bet.candidate(0.03) == pytest.approx(0.01)


@settings(max_examples=100)
@given(st.integers(20, 400), st.integers(0, 400), st.floats(0, 1), st.floats(0, 1), RATES)
def test_leaving_out_implausible_rates_loses_little_evidence_and_adds_none(
    n_b: int, n_c: int, bad_b: float, bad_c: float, prior_rate: float
) -> None:
    counts = [Counts(n_b, round(n_b * bad_b), n_c, round(n_c * bad_c))]
    shifts = [(0.015, 0.3), (0.03, 0.4), (0.12, 0.3)]
    kept = log_evidence(counts, place_bets(base_rates(prior_rate, counts), shifts), 0.0)
    full = log_evidence(counts, place_bets(base_rates(prior_rate), shifts), 0.0)
    assert kept <= full + 1e-9
    if full >= math.log(100):
        assert kept >= math.log(20)


def test_many_short_epochs_give_nearly_the_evidence_of_one() -> None:
    whole = rate_test([Counts(4500, 225, 500, 45)], 0.05, 0.03)
    parts = rate_test([Counts(450, 22.5, 50, 4.5)] * 10, 0.05, 0.03)
    assert parts.log_e_above(0.0) == pytest.approx(whole.log_e_above(0.0), abs=1e-6)
