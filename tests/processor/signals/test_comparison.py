"""Criteria, sizes and the order in which a state is decided."""

from __future__ import annotations

import math

import pytest

from tollway_processor.signals import statistics
from tollway_processor.signals.statistics import Criteria, Evidence, Sizes, State
from tollway_processor.signals.statistics.comparison import state_of

CRITERIA = Criteria(margin=0.03, floor=0.01)
ENOUGH = Sizes(1000, 1000, 1000, 1000)
SURE, UNSURE = math.log(20), math.log(19.9)


@pytest.mark.parametrize(
    ("difference", "evidence", "sizes", "state"),
    [
        (0.02, Evidence(SURE, UNSURE, UNSURE), ENOUGH, State.REGRESSED),
        (0.02, Evidence(UNSURE, UNSURE, UNSURE), ENOUGH, State.INCONCLUSIVE),
        (0.005, Evidence(SURE, UNSURE, UNSURE), ENOUGH, State.INCONCLUSIVE),
        (0.005, Evidence(SURE, SURE, UNSURE), ENOUGH, State.HELD),
        (0.02, Evidence(SURE, SURE, UNSURE), ENOUGH, State.REGRESSED),
        (-0.02, Evidence(UNSURE, SURE, SURE), ENOUGH, State.IMPROVED),
        (-0.02, Evidence(UNSURE, SURE, SURE), Sizes(1000, 49, 1000, 49), State.INCONCLUSIVE),
        (-0.02, Evidence(UNSURE, SURE, SURE), Sizes(1000, 90, 1000, 30), State.INCONCLUSIVE),
        (0.2, Evidence(SURE, UNSURE, UNSURE), Sizes(1000, 20, 1000, 20), State.REGRESSED),
        (0.2, Evidence(SURE, UNSURE, UNSURE), Sizes(1000, 19, 1000, 19), State.INSUFFICIENT),
        (0.2, Evidence(SURE, UNSURE, UNSURE), Sizes(19, 1000, 19, 1000), State.INSUFFICIENT),
        (0.2, Evidence(SURE, UNSURE, UNSURE), Sizes(1000, 1000, 19, 1000), State.INSUFFICIENT),
    ],
)
def test_state_is_decided_in_order(
    difference: float, evidence: Evidence, sizes: Sizes, state: State
) -> None:
    assert state_of(difference, evidence, sizes, CRITERIA) is state


def test_missing_traces_count_the_slowest_arm_at_the_present_split() -> None:
    # 10 of 20 clusters: as many traces again.
    assert Sizes(500, 100, 500, 10).missing_traces(CRITERIA) == 100
    assert Sizes(500, 100, 500, 50).missing_traces(CRITERIA) == 0
    assert Sizes(0, 0, 0, 0).missing_traces(CRITERIA) == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"margin": 0.0, "floor": 0.0}, "margin must be above 0"),
        ({"margin": 0.1, "floor": -0.1}, "floor must not be negative"),
        ({"margin": 0.1, "floor": 0.0, "alpha": 1.0}, "alpha must lie between 0 and 1"),
    ],
)
def test_criteria_that_no_comparison_can_use_are_refused(
    arguments: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Criteria(**arguments)  # type: ignore[arg-type]  # floats only, by name


def test_public_names_are_what_the_package_shows() -> None:
    shown = {
        name
        for name, value in vars(statistics).items()
        if not name.startswith("_") and not _is_module(value) and name != "annotations"
    }
    assert shown == set(statistics.__all__)


def _is_module(value: object) -> bool:
    return type(value).__name__ == "module"
