"""From arms to signals and a verdict: one candidate against its baseline on one route. Pure.

Which statistics are used is signals/statistics'; where arms come from is arms.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tollway_processor.signals.metrics import BASE, Metric, inverted, metric_of
from tollway_processor.signals.statistics import (
    Arm,
    Comparison,
    Criteria,
    Method,
    Signal,
    Stratum,
    Verdict,
    compare_mean,
    compare_rate,
    compare_strata,
    decide,
)

# (cohort, variant, metric) -> arm, of one route
RouteArms = Mapping[tuple[str, str, str], Arm]


@dataclass(frozen=True, slots=True)
class Measured:
    """A signal with the unit of its values."""

    signal: Signal
    unit: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All signals of a candidate on a route, and what they decide."""

    route: str
    baseline: str
    candidate: str
    measured: tuple[Measured, ...]
    verdict: Verdict


def variants(arms: RouteArms) -> list[str]:
    """Return the variants of a route that have traces."""
    return sorted({variant for _, variant, metric in arms if metric == BASE})


def dearest(arms: RouteArms) -> str:
    """Return the variant that costs most a trace: what a cheaper one is compared against."""

    def mean_cost(variant: str) -> tuple[float, str]:
        costs = [arm for (_, v, m), arm in arms.items() if v == variant and m == "cost_usd"]
        n = sum(arm.n for arm in costs)
        return (sum(arm.total for arm in costs) / n if n else 0.0, variant)

    return max(variants(arms), key=mean_cost)


def evaluate(
    route: str, arms: RouteArms, baseline: str, candidate: str, *, was_rolled_back: bool = False
) -> Evaluation:
    """Compare a candidate with its baseline on every metric, for the route and each cohort.

    The cohorts are weighted as the baseline's traffic has them. A metric that only one side has
    is a signal without a comparison: it never passes.
    """
    cohorts = sorted({cohort for cohort, variant, _ in arms if variant in (baseline, candidate)})
    measured = []
    for name, metric in _metrics(arms, (baseline, candidate)).items():
        pairs = {
            c: (_arm(arms, c, baseline, name, metric), _arm(arms, c, candidate, name, metric))
            for c in cohorts
        }
        measured.append(_measured(metric, None, _whole_route(metric, pairs)))
        if len(cohorts) > 1:
            measured += [
                _measured(metric, cohort, _compare(metric, *pair))
                for cohort, pair in pairs.items()
                if pair[0].n or pair[1].n
            ]
    verdict = decide([m.signal for m in measured], was_rolled_back=was_rolled_back)
    return Evaluation(route, baseline, candidate, tuple(measured), verdict)


def _metrics(arms: RouteArms, sides: Sequence[str]) -> dict[str, Metric]:
    by_name: dict[str, list[Arm]] = {}
    for (_, variant, name), arm in arms.items():
        if variant in sides:
            by_name.setdefault(name, []).append(arm)
    found = {name: metric_of(name, by_name[name]) for name in sorted(by_name)}
    return {name: metric for name, metric in found.items() if metric is not None}


def _arm(arms: RouteArms, cohort: str, variant: str, name: str, metric: Metric) -> Arm:
    arm = arms.get((cohort, variant, name))
    base = arms.get((cohort, variant, BASE))
    if name.startswith("outcome:") and base is not None:
        # Traces without the outcome are in no sum, but they are in the arm: nothing happened.
        told = arm or Arm(0, 0.0)
        arm = Arm(
            base.n, told.total, told.total_sq, base.clusters,
            told.cluster_total_sq, told.cluster_cross, base.cluster_size_sq,
        )  # fmt: skip
    if arm is None:
        return Arm(0, 0.0, clusters=0)
    return inverted(arm) if metric.is_inverted else arm


def _whole_route(metric: Metric, pairs: Mapping[str, tuple[Arm, Arm]]) -> Comparison | None:
    if len(pairs) == 1:
        return _compare(metric, *next(iter(pairs.values())))
    baseline = sum((pair[0] for pair in pairs.values()), start=Arm(0, 0.0, clusters=0))
    candidate = sum((pair[1] for pair in pairs.values()), start=Arm(0, 0.0, clusters=0))
    criteria = metric.criteria(baseline)
    if criteria is None or not baseline.n or not candidate.n:
        return None
    strata = [Stratum(cohort, arm.n, arm, other) for cohort, (arm, other) in pairs.items()]
    default = metric.default
    return compare_strata(
        strata,
        criteria,
        worse=default.worse,
        is_rate=default.method is Method.RATE,
        is_log=default.method is Method.LOG_MEAN,
        value_range=default.value_range,
    )


def _compare(metric: Metric, baseline: Arm, candidate: Arm) -> Comparison | None:
    criteria = metric.criteria(baseline)
    if criteria is None or not baseline.n or not candidate.n:
        return None
    default = metric.default
    if default.method is Method.RATE:
        return compare_rate(baseline, candidate, criteria, prior_rate=default.prior_rate)
    return _compare_mean(default.method, criteria, metric, baseline, candidate)


def _compare_mean(
    method: Method, criteria: Criteria, metric: Metric, baseline: Arm, candidate: Arm
) -> Comparison:
    return compare_mean(
        baseline,
        candidate,
        criteria,
        worse=metric.default.worse,
        is_log=method is Method.LOG_MEAN,
        value_range=metric.default.value_range,
    )


def _measured(metric: Metric, cohort: str | None, comparison: Comparison | None) -> Measured:
    default = metric.default
    signal = Signal(metric.name, cohort, comparison, role=default.role, nature=default.nature)
    return Measured(signal, metric.unit)


def losing_cohorts(evaluation: Evaluation) -> Iterable[str | None]:
    """Return where CHEAPER_BUT_WORSE is to be shown: the cohorts that lost, else the route."""
    alarm = evaluation.verdict.cheaper_but_worse
    if alarm is None:
        return ()
    places = dict.fromkeys(loss.cohort for loss in alarm.losses)
    cohorts = [place for place in places if place is not None]
    return cohorts or [None]
