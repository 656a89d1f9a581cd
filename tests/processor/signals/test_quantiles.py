"""Quantile levels: they enclose the true quantile at all looks together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway_processor.signals.statistics import quantile_levels


def test_worked_example_by_hand() -> None:
    # l = (1.4 ln ln 2100 + ln 200) / 1000 = (1.4 * 2.034643 + 5.298317) / 1000 = 0.00814682;
    # reach = 1.5 sqrt(0.25 * l) + 0.8 l = 0.0676944 + 0.0065175
    low, high = quantile_levels(1000, 0.5)
    assert high - 0.5 == pytest.approx(0.0742119, abs=1e-6)
    assert 0.5 - low == pytest.approx(0.0742119, abs=1e-6)


@given(st.floats(1, 1e7), st.floats(0.01, 0.99))
def test_levels_enclose_the_quantile_and_shrink(n: float, level: float) -> None:
    low, high = quantile_levels(n, level)
    assert 0 <= low < level < high <= 1
    wide_low, wide_high = quantile_levels(max(1.0, n / 10), level)
    assert wide_low <= low
    assert high <= wide_high


def test_few_traces_bound_nothing() -> None:
    assert quantile_levels(0, 0.95) == (0, 1)
    assert quantile_levels(20, 0.95)[1] == 1


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        quantile_levels(10, 1.0)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_true_quantile_is_rarely_ever_left_out(level: float) -> None:
    rng = np.random.default_rng(11)
    missed = 0
    for _ in range(200):
        values = rng.random(2000)
        for n in range(10, 2001, 25):
            seen = np.sort(values[:n])
            low, high = quantile_levels(n, level)
            below = seen[math.floor(n * low)] if low > 0 else -math.inf
            above = seen[math.ceil(n * high) - 1] if high < 1 else math.inf
            if not below <= level <= above:
                missed += 1
                break
    assert missed <= 17
