"""Defaults: each kind of metric is documented and consistent."""

from __future__ import annotations

import pytest

from tollway_processor.signals.statistics import DEFAULTS, Method, MetricDefault, scaled
from tollway_processor.signals.statistics.means import MINIMUM_TRACES, MINIMUM_TRACES_HELD


@pytest.mark.parametrize("default", DEFAULTS.values(), ids=DEFAULTS.keys())
def test_each_default_gives_its_reason_and_a_floor_below_its_margin(
    default: MetricDefault,
) -> None:
    assert len(default.reason) > 40
    assert default.reason.endswith(".")
    assert 0 < default.criteria.floor < default.criteria.margin
    assert default.criteria.minimum_traces <= default.criteria.minimum_traces_held


@pytest.mark.parametrize("default", DEFAULTS.values(), ids=DEFAULTS.keys())
def test_means_keep_the_minimum_that_their_method_needs(default: MetricDefault) -> None:
    if default.method is Method.RATE:
        assert default.criteria.minimum_traces == 20
        assert 0 < default.prior_rate < 1
    else:
        assert default.criteria.minimum_traces >= MINIMUM_TRACES
        assert default.criteria.minimum_traces_held >= MINIMUM_TRACES_HELD


def test_relative_margins_are_scaled_by_the_frozen_mean() -> None:
    criteria = scaled(DEFAULTS["cost_mean"], 0.02)
    assert criteria.margin == pytest.approx(0.002)
    assert criteria.floor == pytest.approx(0.0006)
    assert scaled(DEFAULTS["error"], 0.02) == DEFAULTS["error"].criteria


def test_a_relative_margin_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a baseline mean above 0, got 0"):
        scaled(DEFAULTS["cost_mean"], 0)
