"""Tails and quantiles from histograms, against numpy on the values themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tollway_processor.signals.latency import Histogram, quantile_interval, tail_arm
from tollway_processor.signals.statistics import Arm, clustered_arm


def histogram(milliseconds):
    places = np.round(np.log(milliseconds) * 50).astype(int)
    bins, counts = np.unique(places, return_counts=True)
    return Histogram(bins.tolist(), counts.astype(float).tolist())


def test_quantiles_are_right_within_a_bin():
    values = np.exp(np.random.default_rng(1).normal(6, 0.7, 5000))
    told = histogram(values)
    for level in (0.5, 0.95, 0.99):
        estimate, lower, upper = quantile_interval(told, level, 1.0, 0.05)
        exact = math.log(np.quantile(values, level, method="inverted_cdf"))
        assert estimate == pytest.approx(exact, abs=0.011)
        assert lower < exact < upper


def test_few_traces_bound_no_tail():
    told = histogram(np.exp(np.random.default_rng(2).normal(6, 0.7, 60)))
    _, lower, upper = quantile_interval(told, 0.99, 1.0, 0.05)
    assert (upper, lower > 0) == (math.inf, True)


def test_tail_of_a_worked_example():
    told = Histogram([100, 120, 150], [10.0, 6.0, 4.0])
    assert (told.above(100), told.above(120), told.above(150)) == (10, 4, 0)
    assert [told.bin_at(level) for level in (0.5, 0.51, 0.8, 0.81)] == [100, 120, 120, 150]
    merged = told + Histogram([120, 160], [1.0, 2.0])
    assert (merged.bins, merged.counts) == ([100, 120, 150, 160], [10, 7, 4, 2])


def test_tail_has_the_design_effect_of_the_logarithms():
    rng = np.random.default_rng(3)
    groups = [(rng.normal(0, 0.5) + rng.normal(6, 0.3, 8)).tolist() for _ in range(50)]
    logs = clustered_arm(groups)
    told = histogram(np.exp([value for group in groups for value in group]))
    arm = tail_arm(told, told.bin_at(0.95), logs)
    assert logs.design_effect() > 3
    assert arm.rate_design_effect() == pytest.approx(logs.design_effect(), rel=0.02)
    assert tail_arm(told, 0, Arm(400, 0.0)).rate_design_effect() == 1


def test_intervals_hold_the_quantile_at_every_look():
    rng = np.random.default_rng(4)
    missed = 0
    for _ in range(60):
        values = np.exp(rng.normal(6, 0.5, 2000))
        for n in (50, 100, 200, 400, 800, 1600, 2000):
            _, lower, upper = quantile_interval(histogram(values[:n]), 0.95, 1.0, 0.05)
            if not lower <= 6 + 0.5 * 1.6449 <= upper:
                missed += 1
                break
    assert missed <= 3
