"""Many comparisons at once answer as one by one: evidence equal, bounds never closer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tollway_processor.signals.statistics import (
    Arm,
    Counts,
    Criteria,
    MeanQuestion,
    RateQuestion,
    State,
    clustered_arm,
    compare_all,
    compare_mean,
    compare_rate,
    rate_arm,
)

CRITERIA = Criteria(margin=0.03, floor=0.01)


def rate_questions(seed: int, number: int) -> list[RateQuestion]:
    rng = np.random.default_rng(seed)
    questions = []
    for _ in range(number):
        rate = rng.choice([0.0, 0.005, 0.02, 0.05, 0.3, 0.5, 0.98])
        n_b, n_c = int(rng.integers(1, 4000)), int(rng.integers(1, 900))
        harm = rng.choice([0.0, 0.0, 0.02, 0.1])
        bad = rng.binomial(n_b, rate), rng.binomial(n_c, min(rate + harm, 1.0))
        arms = rate_arm(n_b, int(bad[0])), rate_arm(n_c, int(bad[1]))
        questions.append(RateQuestion(*arms, CRITERIA, prior_rate=0.05))
    return questions


def test_rates_answer_as_one_by_one() -> None:
    questions = rate_questions(3, 120)
    for question, many in zip(questions, compare_all(questions), strict=True):
        one = compare_rate(question.baseline, question.candidate, CRITERIA, prior_rate=0.05)
        assert many.evidence.log_e_regressed == pytest.approx(
            one.evidence.log_e_regressed, abs=1e-8
        )
        assert many.evidence.log_e_held == pytest.approx(one.evidence.log_e_held, abs=1e-8)
        assert many.evidence.log_e_improved == pytest.approx(one.evidence.log_e_improved, abs=1e-8)
        assert (many.state, many.sizes) == (one.state, one.sizes)
        assert many.difference == pytest.approx(one.difference, abs=1e-12)
        assert many.traces_needed == one.traces_needed


def test_bounds_agree_with_the_evidence_and_are_near_the_exact_ones() -> None:
    questions = rate_questions(4, 120)
    threshold = math.log(20)
    distances = []
    for question, many in zip(questions, compare_all(questions), strict=True):
        if many.state is State.INSUFFICIENT:
            assert (many.lower, many.upper) == (-1.0, 1.0)
            continue
        assert many.lower <= many.difference <= many.upper
        assert (many.lower >= 0) == (many.evidence.log_e_regressed >= threshold)
        assert (many.upper <= 0) == (many.evidence.log_e_improved >= threshold)
        assert (many.upper <= CRITERIA.margin) == (many.evidence.log_e_held >= threshold)
        one = compare_rate(question.baseline, question.candidate, CRITERIA, prior_rate=0.05)
        distances.append((many.upper - many.lower) / (one.upper - one.lower))
    assert np.median(distances) == pytest.approx(1.0, abs=0.06)
    assert np.quantile(distances, 0.95) < 1.6


def test_epochs_are_answered_as_one_by_one() -> None:
    rng = np.random.default_rng(6)
    questions = []
    for _ in range(20):
        epochs = []
        for share in (0.1, 0.5, 0.0, 0.9):
            n = rng.multinomial(600, [1 - share, share])
            bad = rng.binomial(n, [0.04, 0.06])
            epochs.append(Counts(float(n[0]), float(bad[0]), float(n[1]), float(bad[1])))
        sums = [sum(column) for column in zip(*epochs, strict=True)]
        arms = rate_arm(int(sums[0]), int(sums[1])), rate_arm(int(sums[2]), int(sums[3]))
        questions.append(RateQuestion(*arms, CRITERIA, 0.05, tuple(epochs)))
    for question, many in zip(questions, compare_all(questions), strict=True):
        one = compare_rate(
            question.baseline, question.candidate, CRITERIA, prior_rate=0.05, epochs=question.epochs
        )
        for claim in ("log_e_regressed", "log_e_held", "log_e_improved"):
            assert getattr(many.evidence, claim) == pytest.approx(
                getattr(one.evidence, claim), abs=1e-8
            )
        assert many.difference == pytest.approx(one.difference, abs=1e-12)
        assert many.state is one.state
        assert many.upper == pytest.approx(one.upper, rel=0.2)
    assert len(compare_all(questions[:1])) == 1
    assert compare_all([]) == []


@pytest.mark.parametrize("worse", ["higher", "lower"])
def test_means_answer_as_one_by_one(worse: str) -> None:
    rng = np.random.default_rng(5)
    arms = []
    for _ in range(40):
        spread = rng.choice([0.0, 0.01, 0.3])
        groups = rng.normal(rng.choice([0.0, 0.05, 0.4]), spread, (int(rng.integers(2, 200)), 3))
        arms.append(clustered_arm(groups.tolist()))
    criteria = Criteria(margin=0.1, floor=0.03)
    pairs = list(zip(arms[::2], arms[1::2], strict=True))
    many = compare_all([MeanQuestion(b, c, criteria, worse=worse) for b, c in pairs])
    for (b, c), answer in zip(pairs, many, strict=True):
        one = compare_mean(b, c, criteria, worse=worse)
        assert answer.state is one.state
        for name in ("lower", "upper", "baseline", "candidate", "difference"):
            assert getattr(answer, name) == pytest.approx(getattr(one, name), rel=1e-6)
        assert answer.evidence.log_e_held == pytest.approx(one.evidence.log_e_held, rel=1e-6)
        if one.traces_needed:
            assert answer.traces_needed == pytest.approx(one.traces_needed, rel=0.04, abs=2)
        else:
            assert answer.traces_needed == one.traces_needed


def test_no_bound_is_a_hundred_points_away_where_there_are_traces() -> None:
    for n_b, bad_b, n_c, bad_c in ((100, 0, 30, 0), (4000, 200, 25, 1), (400, 390, 60, 60)):
        arms = rate_arm(n_b, bad_b), rate_arm(n_c, bad_c)
        answer = compare_rate(*arms, CRITERIA, prior_rate=0.05)
        assert -0.6 < answer.lower < answer.upper < 0.6


def test_means_over_epochs_of_a_worked_example() -> None:
    """Weights 90·10/100 = 9 and 10·90/100 = 9: the mean of the differences 1 and 3."""
    epochs = [
        (Arm(90, 90.0, 180.0), Arm(10, 20.0, 50.0)),
        (Arm(10, 50.0, 260.0), Arm(90, 720.0, 5850.0)),
    ]
    whole = epochs[0][0] + epochs[1][0], epochs[0][1] + epochs[1][1]
    answer = compare_mean(*whole, Criteria(1.0, 0.1), epochs=epochs)
    assert answer.difference == pytest.approx((1 + 3) / 2)
    assert (answer.baseline, answer.candidate) == (pytest.approx(3), pytest.approx(5))
    pooled = compare_mean(*whole, Criteria(1.0, 0.1))
    assert pooled.difference == pytest.approx(7.4 - 1.4)
