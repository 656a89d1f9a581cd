"""From arms to signals and a verdict: one candidate against its baseline on one route. Pure.

Which statistics are used is signals/statistics'; where arms come from is arms.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tollway_processor.signals.arms import RouteArms
from tollway_processor.signals.metrics import BASE, Metric, metrics_of
from tollway_processor.signals.policy import RoutePolicy, SignalsConfig
from tollway_processor.signals.quantile_shift import quantile_signals
from tollway_processor.signals.sides import BUILT_IN, Sides, counts_of, is_tail, sides_of
from tollway_processor.signals.statistics import (
    Arm,
    Comparison,
    Method,
    Reversal,
    Role,
    SampleRatio,
    Signal,
    Stratum,
    Verdict,
    check_sample_ratio,
    compare_mean,
    compare_paired_mean,
    compare_paired_rate,
    compare_rate,
    compare_strata,
    decide,
    describe,
    find_reversal,
    format_harm,
)
from tollway_processor.signals.traffic import DAY_S, SHORTEST_S

_FEWEST_PAIRED = 0.8  # part of a candidate's traces that must have a partner to be compared so


@dataclass(frozen=True, slots=True)
class Measured:
    """A signal with the unit of its values, and what a reader needs beside it."""

    signal: Signal
    unit: str
    days_needed: float | None = None
    "Days until traces_needed have come at the present rate; None where no number is known."
    reversal: Reversal | None = None
    "The Simpson case: pooled over cohorts it would look the other way round."

    @property
    def reason(self) -> str:
        """The finding in plain words, with the days to wait and the Simpson case."""
        text = describe(self.signal)
        if self.days_needed and self.signal.state.is_open:
            text += f" At the present rate that takes {_days(self.days_needed)}."
        if self.reversal is not None and self.signal.comparison is not None:
            pooled = format_harm(self.signal.comparison, self.reversal.pooled)
            places = ", ".join(cohort or "(unlabelled)" for cohort in self.reversal.cohorts)
            text += (
                f" Cohorts thrown together would show {pooled}, the other way round: the sides "
                f"serve different mixes (Simpson's paradox); see {places}."
            )
        return text


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All signals of a candidate on a route, and what they decide."""

    route: str
    baseline: str
    candidate: str
    measured: tuple[Measured, ...]
    verdict: Verdict
    dimension: str = "variant"
    "What divides baseline from candidate: variant, model, release, prompt, period."
    is_observational: bool = True
    "Neither chance nor mirroring decided which side served a trace, as far as is known."
    is_paired: bool = False
    "Both sides answered the same inputs."
    sample_ratio: SampleRatio | None = None
    multiplicity: str = ""
    "How many comparisons were watched, and what that does to the error rates, in words."

    @property
    def days_needed(self) -> float | None:
        """Days until traces_needed have come for every guardrail; None where none is known."""
        if self.verdict.traces_needed is None:
            return None
        decisive = (m for m in self.measured if m.signal.role is Role.GUARDRAIL)
        return max((m.days_needed or 0.0 for m in decisive if m.signal.has_weight), default=0.0)


def variants(route: RouteArms) -> list[str]:
    """Return the sides of a route that have traces."""
    return sides_of(route.arms)


def dearest(route: RouteArms) -> str:
    """Return the side that costs most a trace: what a cheaper one is compared against."""

    def mean_cost(side: str) -> tuple[float, str]:
        costs = [
            arm
            for (cohort, s, m), arm in route.arms.items()
            if s == side and m == "cost_usd" and not cohort.startswith(BUILT_IN)
        ]
        n = sum(arm.n for arm in costs)
        return (sum(arm.total for arm in costs) / n if n else 0.0, side)

    return max(variants(route), key=mean_cost)


def evaluate(
    route: str,
    arms: RouteArms,
    baseline: str,
    candidate: str,
    *,
    config: SignalsConfig | None = None,
    dimension: str = "variant",
    was_rolled_back: bool = False,
) -> Evaluation:
    """Compare a candidate with its baseline on every metric, for the route and each cohort.

    A metric that only one side has is a signal without a comparison: it never passes.
    """
    config = config or SignalsConfig()
    sides = Sides(arms, baseline, candidate, config.rare_share)
    comparing = _Comparing(sides, config.route(route), _is_paired(sides))
    measured: list[Measured] = []
    for name, metric in metrics_of(route, sides.names(), config).items():
        measured += comparing.signals(name, metric)
    measured += [Measured(s, "ln ms") for s in quantile_signals(sides)]
    ratio = _sample_ratio(sides, comparing.policy)
    is_observational = not comparing.is_paired and not (
        dimension == "variant" and _is_random(comparing.policy, candidate)
    )
    verdict = decide(
        [m.signal for m in measured],
        sample_ratio=ratio,
        is_observational=is_observational,
        was_rolled_back=was_rolled_back,
    )
    return Evaluation(
        route,
        baseline,
        candidate,
        tuple(measured),
        verdict,
        dimension,
        is_observational,
        comparing.is_paired,
        ratio,
        describe_multiplicity([m.signal for m in measured]),
    )


def describe_multiplicity(signals: Sequence[Signal]) -> str:
    """Return how many comparisons decide, and what error rates hold over all of them together."""
    guarded = [s for s in signals if s.has_weight and s.role in (Role.GUARDRAIL, Role.TRIPWIRE)]
    must_hold = sum(s.role is Role.GUARDRAIL for s in guarded)
    return (
        f"{len(guarded)} comparisons may roll back and {must_hold} must hold. Watched all the time "
        "and over all of them together, an equal candidate is rolled back in at most 5 % of cases "
        "(averaged e-values), and one that is worse by the margin where it must hold is promoted "
        "in at most 5 % (each must hold by itself)."
    )


@dataclass(slots=True)
class _Comparing:
    """Compares the sides of one route on one metric after the other."""

    sides: Sides
    policy: RoutePolicy
    is_paired: bool

    def signals(self, name: str, metric: Metric) -> Iterator[Measured]:
        """Yield the signal of the whole route and those of the cohorts."""
        labelled = self.sides.labelled
        if is_tail(name):
            yield from self._tails(name, metric)
            return
        pairs = {c: self.sides.pair(c, name, metric) for c in self._cohorts()}
        comparison, reversal = self._whole(name, metric, {c: pairs[c] for c in labelled})
        yield self._measured(metric, None, comparison, reversal)
        for cohort, pair in pairs.items():
            is_alone = len(labelled) == 1 and cohort == labelled[0]
            if not is_alone and (pair[0].n or pair[1].n):
                yield self._measured(metric, cohort, self._cohort(cohort, name, metric, pair))

    def _cohorts(self) -> list[str]:
        return self.sides.labelled + self.sides.built_in

    def _tails(self, name: str, metric: Metric) -> Iterator[Measured]:
        labelled = self.sides.labelled
        threshold = self.sides.threshold(labelled, name)
        if threshold is None:
            return
        pairs = {c: self.sides.tail(c, name, threshold) for c in labelled}
        comparison, reversal = self._whole(name, metric, pairs)
        yield self._measured(metric, None, comparison, reversal)
        for cohort in self._cohorts():
            own = self.sides.threshold([cohort], name)
            if own is None or (len(labelled) == 1 and cohort == labelled[0]):
                continue
            pair = self.sides.tail(cohort, name, own)
            yield self._measured(metric, cohort, _compare(metric, *pair))

    def _cohort(
        self, cohort: str, name: str, metric: Metric, pair: tuple[Arm, Arm]
    ) -> Comparison | None:
        paired = self._paired(cohort, name, metric)
        if paired is not None:
            return paired
        return _compare(metric, *pair, self.sides.epochs(cohort, name, metric))

    def _paired(self, cohort: str, name: str, metric: Metric) -> Comparison | None:
        pairs = self.sides.pairs(cohort, name) if self.is_paired else None
        criteria = metric.criteria(Arm(1, pairs.baseline_mean)) if pairs else None
        if pairs is None or criteria is None:
            return None
        default = metric.default
        if default.method is Method.RATE:
            prior = default.prior_rate
            return compare_paired_rate(
                pairs.inverted() if metric.is_inverted else pairs.counts,
                criteria,
                prior_discordance=2 * prior * (1 - prior),
                differences=pairs.differences,
            )
        return compare_paired_mean(
            pairs.differences,
            criteria,
            baseline_mean=pairs.baseline_mean,
            worse=default.worse,
            is_log=default.method is Method.LOG_MEAN,
        )

    def _whole(
        self, name: str, metric: Metric, pairs: dict[str, tuple[Arm, Arm]]
    ) -> tuple[Comparison | None, Reversal | None]:
        if len(pairs) == 1:
            ((cohort, pair),) = pairs.items()
            if is_tail(name):
                return _compare(metric, *pair), None
            return self._cohort(cohort, name, metric, pair), None
        if self.is_paired and (paired := self._paired("*", name, metric)):
            return paired, None
        baseline = sum((pair[0] for pair in pairs.values()), start=Arm(0, 0.0, clusters=0))
        candidate = sum((pair[1] for pair in pairs.values()), start=Arm(0, 0.0, clusters=0))
        criteria = metric.criteria(baseline)
        if criteria is None or not baseline.n or not candidate.n:
            return None, None
        strata = [
            Stratum(
                cohort,
                self._weight(cohort, arm),
                arm,
                other,
                () if is_tail(name) else self.sides.epochs(cohort, name, metric),
            )
            for cohort, (arm, other) in pairs.items()
        ]
        default = metric.default
        comparison = compare_strata(
            strata,
            criteria,
            worse=default.worse,
            is_rate=default.method is Method.RATE,
            is_log=default.method is Method.LOG_MEAN,
            value_range=default.value_range,
        )
        return comparison, find_reversal(strata, floor=criteria.floor, worse=default.worse)

    def _weight(self, cohort: str, baseline: Arm) -> float:
        return self.policy.mix.get(cohort, 0.0) if self.policy.mix else baseline.n

    def _measured(
        self,
        metric: Metric,
        cohort: str | None,
        comparison: Comparison | None,
        reversal: Reversal | None = None,
    ) -> Measured:
        default = metric.default
        signal = Signal(
            metric.name,
            cohort,
            comparison,
            role=self._role(cohort, default.role),
            nature=default.nature,
            has_weight=self._matters(cohort),
        )
        return Measured(signal, metric.unit, self._days(comparison), reversal)

    def _role(self, cohort: str | None, role: Role) -> Role:
        """Return a metric's role on a cohort: a built-in one blocks nothing unless declared."""
        if cohort is None or not cohort.startswith(BUILT_IN) or cohort in self.policy.cohorts:
            return role
        return {Role.GUARDRAIL: Role.TRIPWIRE, Role.GOAL: Role.WATCHED}.get(role, role)

    def _matters(self, cohort: str | None) -> bool:
        declared = self.policy.cohorts
        if cohort is None or not declared:
            return True
        return cohort in declared or cohort.startswith(BUILT_IN)

    def _days(self, comparison: Comparison | None) -> float | None:
        """Return the days until enough candidate traces have come at the rate seen so far."""
        if comparison is None or comparison.traces_needed is None:
            return None
        traffic = self.sides.route.traffic
        seen_days = max(traffic.last_s - traffic.first_s, SHORTEST_S) / DAY_S
        n = comparison.sizes.n_candidate
        return comparison.traces_needed * seen_days / n if n else None


def _compare(
    metric: Metric, baseline: Arm, candidate: Arm, epochs: Sequence[tuple[Arm, Arm]] = ()
) -> Comparison | None:
    criteria = metric.criteria(baseline)
    if criteria is None or not baseline.n or not candidate.n:
        return None
    default = metric.default
    if default.method is Method.RATE:
        return compare_rate(
            baseline,
            candidate,
            criteria,
            prior_rate=default.prior_rate,
            epochs=counts_of(epochs),
        )
    return compare_mean(
        baseline,
        candidate,
        criteria,
        worse=default.worse,
        is_log=default.method is Method.LOG_MEAN,
        value_range=default.value_range,
        epochs=epochs,
    )


def _is_random(policy: RoutePolicy, candidate: str) -> bool:
    return policy.assignment == "random" or candidate in policy.shares


def _is_paired(sides: Sides) -> bool:
    n = sum(sides.arm(cohort, sides.candidate, BASE).n for cohort in sides.labelled)
    pairs = sides.pairs("*", BASE)
    return pairs is not None and pairs.counts.n >= _FEWEST_PAIRED * n


def _sample_ratio(sides: Sides, policy: RoutePolicy) -> SampleRatio | None:
    """Check the declared split, over sessions where they stick to a side, else over traces."""
    declared = policy.shares.get(sides.candidate)
    if declared is None:
        return None
    arms = [
        sum((sides.arm(c, side, BASE) for c in sides.labelled), start=Arm(0, 0.0, clusters=0))
        for side in (sides.baseline, sides.candidate)
    ]
    base, other = (arm.effective_clusters for arm in arms)
    return check_sample_ratio(base, other, declared)


def _days(days: float) -> str:
    """Return a span in words."""
    if days < 1 / 24:
        return "less than an hour"
    if days < 2:
        return f"about {24 * days:.0f} hours"
    return f"about {days:,.0f} days"


def losing_cohorts(evaluation: Evaluation) -> Iterable[str | None]:
    """Return where CHEAPER_BUT_WORSE is to be shown: the cohorts that lost, else the route."""
    alarm = evaluation.verdict.cheaper_but_worse
    if alarm is None:
        return ()
    places = dict.fromkeys(loss.cohort for loss in alarm.losses)
    cohorts = [place for place in places if place is not None]
    return cohorts or [None]
