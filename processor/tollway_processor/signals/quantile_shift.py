"""The quantiles themselves: p50, p95 and p99 of latency and time to first token, side by side.

Shown with their intervals; what decides is the share above the baseline's quantile (sides.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from tollway_processor.signals.latency import LEVELS, Histogram, quantile_interval
from tollway_processor.signals.sides import Sides
from tollway_processor.signals.statistics import (
    DEFAULTS,
    Arm,
    Comparison,
    Criteria,
    Evidence,
    Nature,
    Role,
    Signal,
    Sizes,
    State,
)

_NAMES = {"duration": ("latency", "log_duration_ms"), "ttft": ("ttft", "log_ttft_ms")}


def quantile_signals(sides: Sides) -> Iterator[Signal]:
    """Yield a watched signal for each quantile of the whole route and of each labelled cohort."""
    criteria = DEFAULTS["latency"].criteria
    labelled = sides.labelled
    places: dict[str | None, list[str]] = {None: labelled}
    if len(labelled) > 1:
        places |= {cohort: [cohort] for cohort in labelled}
    for measure, (prefix, logs) in _NAMES.items():
        for place, cohorts in places.items():
            pair = [
                (
                    sides.compared(cohorts, side, measure),
                    sum((sides.arm(c, side, logs) for c in cohorts), start=Arm(0, 0.0, clusters=0)),
                )
                for side in (sides.baseline, sides.candidate)
            ]
            if not (pair[0][0].bins and pair[1][0].bins):
                continue
            for level in LEVELS:
                comparison = _compare(pair[0], pair[1], level, criteria)
                name = f"{prefix}_p{100 * level:.0f}_ms"
                yield Signal(name, place, comparison, role=Role.WATCHED, nature=Nature.VOLUME)


def _compare(
    baseline: tuple[Histogram, Arm],
    candidate: tuple[Histogram, Arm],
    level: float,
    criteria: Criteria,
) -> Comparison:
    """Compare one quantile; each bound is off with probability alpha/2, so a claim with alpha."""
    (b, b_low, b_high), (c, c_low, c_high) = (
        quantile_interval(histogram, level, max(logs.design_effect(), 1.0), criteria.alpha)
        for histogram, logs in (baseline, candidate)
    )
    lower, upper = c_low - b_high, c_high - b_low
    bar = -math.log(criteria.alpha)
    evidence = Evidence(
        bar if lower > 0 else 0.0,
        bar if upper < criteria.margin else 0.0,
        bar if upper < 0 else 0.0,
    )
    sizes = Sizes.of(baseline[1], candidate[1])
    state = _state(lower, upper, c - b, sizes, criteria)
    return Comparison(
        method="quantile_log_mean",
        baseline=b,
        candidate=c,
        difference=c - b,
        lower=lower,
        upper=upper,
        evidence=evidence,
        sizes=sizes,
        criteria=criteria,
        state=state,
        traces_needed=None if state.is_open else 0,
        design_effect=max(baseline[1].design_effect(), candidate[1].design_effect()),
    )


def _state(
    lower: float, upper: float, difference: float, sizes: Sizes, criteria: Criteria
) -> State:
    if sizes.missing_traces(criteria):
        return State.INSUFFICIENT
    if lower > 0 and difference > criteria.floor:
        return State.REGRESSED
    if upper < 0:
        return State.IMPROVED
    return State.HELD if upper < criteria.margin else State.INCONCLUSIVE
