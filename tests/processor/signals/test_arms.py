"""Sufficient statistics: variances by hand, against numpy, and with sessions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway_processor.signals.statistics import Arm, clustered_arm, rate_arm

VALUES = st.floats(-100, 100).map(lambda value: round(value, 3))
GROUPS = st.lists(st.lists(VALUES, min_size=1, max_size=6), min_size=2, max_size=8)


def test_cluster_variance_of_a_worked_example() -> None:
    # Three sessions: (1, 1), (0, 0, 0), (1). theta = 3/6 = 0.5; residuals S_g - theta n_g are
    # 1, -1.5, 0.5, their squares sum to 3.5; V = 3/2 * 3.5 / 36.
    arm = clustered_arm([[1, 1], [0, 0, 0], [1]])
    assert (arm.n, arm.total, arm.clusters) == (6, 3, 3)
    assert (arm.cluster_total_sq, arm.cluster_cross, arm.cluster_size_sq) == (5, 5, 14)
    assert arm.cluster_variance_of_mean() == pytest.approx(1.5 * 3.5 / 36)


def test_design_effect_of_a_worked_example() -> None:
    # V_independent = 0.25 / 6; V_cluster = 5.25 / 36, so 3.5 traces are worth one.
    assert clustered_arm([[1, 1], [0, 0, 0], [1]]).rate_design_effect() == pytest.approx(3.5)


@given(GROUPS)
def test_variance_agrees_with_numpy(groups: list[list[float]]) -> None:
    values = np.concatenate([np.array(group) for group in groups])
    arm = clustered_arm(groups)
    assert arm.mean == pytest.approx(float(values.mean()), abs=1e-9)
    assert arm.variance() == pytest.approx(float(values.var(ddof=1)), rel=1e-6, abs=1e-6)


@given(st.lists(VALUES, min_size=2, max_size=30))
def test_sessions_of_one_trace_change_nothing(values: list[float]) -> None:
    alone = clustered_arm([[value] for value in values])
    expected = alone.variance() / alone.n
    assert alone.cluster_variance_of_mean() == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(GROUPS)
def test_sessions_never_narrow_the_variance(groups: list[list[float]]) -> None:
    arm = clustered_arm(groups)
    assert arm.variance_of_mean() >= arm.variance() / arm.n
    assert arm.design_effect() >= 1


@given(GROUPS, GROUPS)
def test_arms_add_up(first: list[list[float]], second: list[list[float]]) -> None:
    added = clustered_arm(first) + clustered_arm(second)
    whole = clustered_arm(first + second)
    assert added.clusters == whole.clusters
    assert added.cluster_variance_of_mean() == pytest.approx(
        whole.cluster_variance_of_mean(), rel=1e-6, abs=1e-6
    )


def test_an_empty_arm_has_no_variance() -> None:
    arm = Arm(0, 0.0)
    assert (arm.mean, arm.variance(), arm.variance_of_mean()) == (0, 0, 0)
    assert arm.rate_design_effect() == arm.design_effect() == 1


def test_traces_without_sessions_count_as_independent() -> None:
    arm = rate_arm(100, 5)
    assert arm.effective_clusters == 100
    assert arm.rate_design_effect() == 1


def test_cost_per_successful_trace_is_a_ratio_arm() -> None:
    # Three traces: cost 2 success, 4 failure, 3 success -> 9 / 2 = 4.5 per success. Residuals
    # cost - 4.5 * success are -2.5, 4, -1.5, their squares sum to 24.5; V = 3/2 * 24.5 / 4.
    costs, successes = np.array([2.0, 4, 3]), np.array([1.0, 0, 1])
    arm = Arm(
        n=2,
        total=9,
        clusters=3,
        cluster_total_sq=float((costs**2).sum()),
        cluster_cross=float((costs * successes).sum()),
        cluster_size_sq=float((successes**2).sum()),
    )
    assert arm.mean == 4.5
    assert arm.cluster_variance_of_mean() == pytest.approx(1.5 * 24.5 / 4)


@given(GROUPS, GROUPS)
def test_narrowed_arm_keeps_the_design_effect_of_all(
    kept: list[list[float]], left: list[list[float]]
) -> None:
    narrowed = clustered_arm(kept + left).narrowed([clustered_arm([group]) for group in kept])
    values = [value for group in kept for value in group]
    assert (narrowed.n, narrowed.mean) == (len(values), pytest.approx(np.mean(values), abs=1e-9))
    assert narrowed.variance() == pytest.approx(clustered_arm([values]).variance(), abs=1e-6)
    if narrowed.variance() > 1e-3:
        expected = clustered_arm(kept + left).design_effect()
        assert narrowed.design_effect() == pytest.approx(expected, rel=1e-6)


def test_narrowed_arm_has_its_part_of_the_clusters() -> None:
    whole = clustered_arm([[1.0, 0.0]] * 50)
    assert whole.narrowed([rate_arm(40, 20)]).clusters == 20
    assert rate_arm(100, 50).narrowed([rate_arm(40, 20)]).clusters is None
