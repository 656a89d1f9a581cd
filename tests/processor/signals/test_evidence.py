"""Logarithms of e-values: exact in both tails, averaged without overflow."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from tollway_processor.signals.statistics.evidence import (
    bounded_exp,
    log_average,
    log_normal_cdf,
    log_sum_exp,
    log_threshold,
)


@given(st.floats(-200, 30))
def test_log_normal_cdf_agrees_with_scipy_in_both_tails(x: float) -> None:
    assert log_normal_cdf(x) == pytest.approx(float(special.log_ndtr(x)), rel=1e-7, abs=1e-300)


def test_threshold_of_five_percent_is_twenty() -> None:
    assert math.exp(log_threshold(0.05)) == pytest.approx(20)


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=8))
def test_average_is_at_most_the_largest_and_at_least_its_share(log_e_values: list[float]) -> None:
    share = 1 / len(log_e_values)
    average = log_average(log_e_values, [share] * len(log_e_values))
    assert average <= max(log_e_values) + 1e-9
    assert average >= max(log_e_values) + math.log(share) - 1e-9


def test_average_of_a_worked_example() -> None:
    # (20 * 0.5 + 4 * 0.5 + nothing) = 12
    average = log_average([math.log(20), math.log(4), -math.inf], [0.5, 0.5, 0.0])
    assert math.exp(average) == pytest.approx(12)


def test_nothing_is_no_evidence() -> None:
    assert log_sum_exp([]) == -math.inf
    assert log_sum_exp([-math.inf, -math.inf]) == -math.inf
    assert log_sum_exp([math.inf, 0.0]) == math.inf


def test_huge_evidence_is_capped_and_not_an_overflow() -> None:
    assert math.isfinite(bounded_exp(1e6))
    assert bounded_exp(-math.inf) == 0
