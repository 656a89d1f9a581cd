"""Wording: what happened, where, how much, how sure, in the metric's own unit."""

from __future__ import annotations

import math

import pytest

from tollway_processor.signals.statistics import (
    Arm,
    Criteria,
    Signal,
    compare_mean,
    compare_rate,
    describe,
    describe_values,
    format_harm,
    rate_arm,
)

CRITERIA = Criteria(margin=0.03, floor=0.01)


def signal_of(n_b: int, bad_b: int, n_c: int, bad_c: int) -> Signal:
    comparison = compare_rate(rate_arm(n_b, bad_b), rate_arm(n_c, bad_c), CRITERIA, prior_rate=0.05)
    return Signal("json_fail", "long-context", comparison)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((75, 3, 75, 30), "got worse on cohort long-context: 4.0 % to 40.0 % (+36.0 points)"),
        ((9000, 450, 1000, 50), "held on cohort long-context: 5.0 % to 5.0 % (+0.0 points)"),
        ((9000, 900, 1000, 40), "got better on cohort long-context: 10.0 % to 4.0 %"),
        ((150, 8, 150, 7), "is not decided yet on cohort long-context"),
        ((90, 4, 10, 1), "has too little data on cohort long-context: 10 candidate traces"),
    ],
)
def test_each_state_has_its_sentence(counts: tuple[int, int, int, int], words: str) -> None:
    assert words in describe(signal_of(*counts))


def test_held_names_the_margin() -> None:
    assert "(allowed +3.0 points)" in describe(signal_of(9000, 450, 1000, 50))


def test_a_regression_names_the_least_harm_and_the_traces() -> None:
    sentence = describe(signal_of(75, 3, 75, 30))
    assert "harm of at least +1" in sentence
    assert sentence.endswith("75 candidate traces against 75.")


def test_logarithms_are_read_as_percent() -> None:
    cheaper = compare_mean(
        Arm(2000, 0.0, 500.0), Arm(400, -400.0, 500.0), Criteria(0.05, 0.02), is_log=True
    )
    assert describe_values(cheaper) == "-63.2 % against the baseline"
    assert format_harm(cheaper, math.log(1.1)) == "+10.0 %"


def test_scores_are_read_as_they_are_and_in_their_own_direction() -> None:
    fell = compare_mean(Arm(400, 320.0, 260.0), Arm(400, 280.0, 200.0), CRITERIA, worse="lower")
    assert describe_values(fell) == "0.8 to 0.7 (-0.1)"
    assert format_harm(fell, 0.0251) == "+0.0251"


def test_without_a_bound_it_says_so() -> None:
    nothing = compare_mean(Arm(0, 0.0), Arm(0, 0.0), CRITERIA)
    assert format_harm(nothing, nothing.upper) == "unbounded"
    assert "no number of traces foreseeable" in describe(Signal("score", None, nothing))
