"""What is asked of a baseline and a candidate on one route: each metric, for route and cohorts.

The answers are statistics'; what they decide is evaluate.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tollway_processor.signals.metrics import BASE, Metric, metrics_of
from tollway_processor.signals.missing import missing
from tollway_processor.signals.policy import RoutePolicy, SignalsConfig
from tollway_processor.signals.sides import BUILT_IN, NOTHING, Epochs, Sides, counts_of, is_tail
from tollway_processor.signals.statistics import (
    Arm,
    Comparison,
    MeanQuestion,
    Method,
    Question,
    RateQuestion,
    Reversal,
    Role,
    Signal,
    StrataQuestion,
    Stratum,
    compare_paired_mean,
    compare_paired_rate,
    find_reversal,
    prior_from,
)
from tollway_processor.signals.traffic import DAY_S, SHORTEST_S

_FEWEST_PAIRED = 0.8  # part of a candidate's traces that must have a partner to be compared so


@dataclass(frozen=True, slots=True)
class Draft:
    """A signal before its comparison: the question, or the answer where it is known."""

    metric: Metric
    cohort: str | None
    question: Question | Comparison | None
    reversal: Reversal | None = None


@dataclass(slots=True)
class Questions:
    """Asks for the comparisons of one candidate with its baseline."""

    sides: Sides
    policy: RoutePolicy
    route: str
    is_paired: bool

    @classmethod
    def of(cls, route: str, sides: Sides, config: SignalsConfig) -> Questions:
        """Return the questions that a route's policy puts to two sides."""
        return cls(sides, config.route(route), route, is_paired(sides))

    def drafts(self, config: SignalsConfig) -> Iterator[Draft]:
        """Yield the signals of each metric: of the whole route first, then of the cohorts."""
        for name, metric in metrics_of(self.route, self.sides.names(), config).items():
            if is_tail(name):
                yield from self._tails(name, metric)
            else:
                yield from self._plain(name, metric)

    def _plain(self, name: str, metric: Metric) -> Iterator[Draft]:
        labelled = self.sides.labelled
        pairs = {c: self.sides.pair(c, name, metric) for c in self._cohorts()}
        epochs = {c: self.sides.epochs(c, name, metric) for c in labelled}
        yield self._whole(name, metric, {c: pairs[c] for c in labelled}, epochs)
        for cohort, pair in pairs.items():
            if not self._is_alone(cohort) and (pair[0].n or pair[1].n):
                yield Draft(metric, cohort, self._cohort(cohort, name, metric, pair))

    def _cohorts(self) -> list[str]:
        return self.sides.labelled + self.sides.built_in

    def _is_alone(self, cohort: str) -> bool:
        return self.sides.labelled == [cohort]

    def _tails(self, name: str, metric: Metric) -> Iterator[Draft]:
        labelled = self.sides.labelled
        threshold = self.sides.threshold(None, name)
        if threshold is None:
            return
        tails = {c: self.sides.tail(c, name, threshold) for c in labelled}
        epochs = {c: self.sides.tail_epochs(c, name, threshold) for c in labelled}
        yield self._whole(name, metric, tails, epochs)
        for cohort in self._cohorts():
            own = self.sides.threshold(cohort, name)
            if own is not None and not self._is_alone(cohort):
                sides = self.sides.tail(cohort, name, own)
                epochs_of = self.sides.tail_epochs(cohort, name, own)
                yield Draft(metric, cohort, _ask(metric, *sides, epochs_of))

    def _cohort(
        self, cohort: str, name: str, metric: Metric, pair: tuple[Arm, Arm]
    ) -> Question | Comparison | None:
        paired = self._paired(cohort, name, metric)
        if paired is not None:
            return paired
        history = self.sides.history(cohort, name, metric)
        return _ask(metric, *pair, self.sides.epochs(cohort, name, metric), history)

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
        self,
        name: str,
        metric: Metric,
        pairs: dict[str, tuple[Arm, Arm]],
        epochs: dict[str, Epochs],
    ) -> Draft:
        if len(pairs) == 1:
            ((cohort, pair),) = pairs.items()
            if is_tail(name):
                return Draft(metric, None, _ask(metric, *pair, epochs[cohort]))
            return Draft(metric, None, self._cohort(cohort, name, metric, pair))
        if self.is_paired and (paired := self._paired("*", name, metric)):
            return Draft(metric, None, paired)
        baseline = _size_and_total(pair[0] for pair in pairs.values())
        candidate = _size_and_total(pair[1] for pair in pairs.values())
        criteria = metric.criteria(baseline)
        if criteria is None or not baseline.n or not candidate.n:
            return Draft(metric, None, None)
        strata = [
            Stratum(
                cohort,
                self._weight(cohort, arm),
                arm,
                other,
                epochs[cohort],
            )
            for cohort, (arm, other) in pairs.items()
        ]
        default = metric.default
        question = StrataQuestion(
            strata,
            criteria,
            worse=default.worse,
            is_rate=default.method is Method.RATE,
            is_log=default.method is Method.LOG_MEAN,
            value_range=default.value_range,
        )
        reversal = find_reversal(strata, floor=criteria.floor, worse=default.worse)
        return Draft(metric, None, question, reversal)

    def _weight(self, cohort: str, baseline: Arm) -> float:
        return self.policy.mix.get(cohort, 0.0) if self.policy.mix else baseline.n

    def signal(self, draft: Draft, comparison: Comparison | None) -> Signal:
        """Return the signal of a draft, given its comparison."""
        default = draft.metric.default
        return Signal(
            draft.metric.name,
            draft.cohort,
            comparison,
            role=self._role(draft.cohort, default.role),
            nature=default.nature,
            has_weight=self._matters(draft.cohort),
            missing=missing(self.sides, draft.metric, draft.cohort)
            if comparison is None or not comparison.sizes.n_candidate
            else "",
        )

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

    def days(self, comparison: Comparison | None) -> float | None:
        """Return the days until enough candidate traces have come at the rate seen so far."""
        if comparison is None or comparison.traces_needed is None:
            return None
        traffic = self.sides.route.traffic
        seen_days = max(traffic.last_s - traffic.first_s, SHORTEST_S) / DAY_S
        n = comparison.sizes.n_candidate
        return comparison.traces_needed * seen_days / n if n else None


def _size_and_total(arms: Iterable[Arm]) -> Arm:
    """Return what a mean needs of all arms together."""
    n = total = 0.0
    for arm in arms:
        n, total = n + arm.n, total + arm.total
    return Arm(n, total)


def _ask(
    metric: Metric,
    baseline: Arm,
    candidate: Arm,
    epochs: Sequence[tuple[Arm, Arm]] = (),
    history: Arm = NOTHING,
) -> Question | None:
    criteria = metric.criteria(baseline)
    if criteria is None or not baseline.n or not candidate.n:
        return None
    default = metric.default
    if default.method is Method.RATE:
        prior = prior_from(history, default.prior_rate)
        return RateQuestion(baseline, candidate, criteria, prior, counts_of(epochs))
    return MeanQuestion(
        baseline,
        candidate,
        criteria,
        worse=default.worse,
        is_log=default.method is Method.LOG_MEAN,
        value_range=default.value_range,
        epochs=epochs,
    )


def is_paired(sides: Sides) -> bool:
    n = sum(sides.arm(cohort, sides.candidate, BASE).n for cohort in sides.labelled)
    pairs = sides.pairs("*", BASE)
    return pairs is not None and pairs.counts.n >= _FEWEST_PAIRED * n
