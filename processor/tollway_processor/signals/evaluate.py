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
from tollway_processor.signals.sides import BUILT_IN, NOTHING, Sides, counts_of, is_tail, sides_of
from tollway_processor.signals.statistics import (
    Arm,
    Comparison,
    MeanQuestion,
    Method,
    Question,
    RateQuestion,
    Reversal,
    Role,
    SampleRatio,
    Signal,
    Stratum,
    Verdict,
    check_sample_ratio,
    compare_all,
    compare_paired_mean,
    compare_paired_rate,
    decide,
    describe,
    find_reversal,
    format_harm,
    mean_question,
    strata_question,
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


@dataclass(frozen=True, slots=True)
class Task:
    """One candidate to compare with its baseline."""

    route: str
    arms: RouteArms
    baseline: str
    candidate: str
    dimension: str = "variant"
    was_rolled_back: bool = False


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
    task = Task(route, arms, baseline, candidate, dimension, was_rolled_back)
    return evaluate_all([task], config)[0]


def evaluate_all(tasks: Sequence[Task], config: SignalsConfig | None = None) -> list[Evaluation]:
    """Evaluate many candidates; all their comparisons are made at once."""
    config = config or SignalsConfig()
    asked = [_Comparing.of(task, config) for task in tasks]
    drafts = [list(comparing.drafts(config)) for comparing in asked]
    questions = [
        draft.question
        for some in drafts
        for draft in some
        if isinstance(draft.question, RateQuestion | MeanQuestion)
    ]
    answers = iter(compare_all(questions))
    evaluations = []
    for task, comparing, some in zip(tasks, asked, drafts, strict=True):
        measured = [comparing.measured(draft, answers) for draft in some]
        measured += [Measured(s, "ln ms") for s in quantile_signals(comparing.sides)]
        evaluations.append(_evaluation(task, comparing, measured))
    return evaluations


def _evaluation(task: Task, comparing: _Comparing, measured: list[Measured]) -> Evaluation:
    ratio = _sample_ratio(comparing.sides, comparing.policy)
    is_observational = not comparing.is_paired and not (
        task.dimension == "variant" and _is_random(comparing.policy, task.candidate)
    )
    signals = [m.signal for m in measured]
    verdict = decide(
        signals,
        sample_ratio=ratio,
        is_observational=is_observational,
        was_rolled_back=task.was_rolled_back,
    )
    return Evaluation(
        task.route,
        task.baseline,
        task.candidate,
        tuple(measured),
        verdict,
        task.dimension,
        is_observational,
        comparing.is_paired,
        ratio,
        describe_multiplicity(signals),
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


@dataclass(frozen=True, slots=True)
class _Draft:
    """A signal before its comparison: the question, or the answer where it is known."""

    metric: Metric
    cohort: str | None
    question: Question | Comparison | None
    reversal: Reversal | None = None


@dataclass(slots=True)
class _Comparing:
    """Asks for the comparisons of one candidate with its baseline."""

    sides: Sides
    policy: RoutePolicy
    route: str
    is_paired: bool

    @classmethod
    def of(cls, task: Task, config: SignalsConfig) -> _Comparing:
        sides = Sides(task.arms, task.baseline, task.candidate, config.rare_share)
        return cls(sides, config.route(task.route), task.route, _is_paired(sides))

    def drafts(self, config: SignalsConfig) -> Iterator[_Draft]:
        """Yield the signals of each metric: of the whole route first, then of the cohorts."""
        for name, metric in metrics_of(self.route, self.sides.names(), config).items():
            if is_tail(name):
                yield from self._tails(name, metric)
            else:
                yield from self._plain(name, metric)

    def _plain(self, name: str, metric: Metric) -> Iterator[_Draft]:
        labelled = self.sides.labelled
        pairs = {c: self.sides.pair(c, name, metric) for c in self._cohorts()}
        yield self._whole(name, metric, {c: pairs[c] for c in labelled})
        for cohort, pair in pairs.items():
            if not self._is_alone(cohort) and (pair[0].n or pair[1].n):
                yield _Draft(metric, cohort, self._cohort(cohort, name, metric, pair))

    def _cohorts(self) -> list[str]:
        return self.sides.labelled + self.sides.built_in

    def _is_alone(self, cohort: str) -> bool:
        return self.sides.labelled == [cohort]

    def _tails(self, name: str, metric: Metric) -> Iterator[_Draft]:
        labelled = self.sides.labelled
        threshold = self.sides.threshold(labelled, name)
        if threshold is None:
            return
        yield self._whole(name, metric, {c: self.sides.tail(c, name, threshold) for c in labelled})
        for cohort in self._cohorts():
            own = self.sides.threshold([cohort], name)
            if own is not None and not self._is_alone(cohort):
                yield _Draft(metric, cohort, _ask(metric, *self.sides.tail(cohort, name, own)))

    def _cohort(
        self, cohort: str, name: str, metric: Metric, pair: tuple[Arm, Arm]
    ) -> Question | Comparison | None:
        paired = self._paired(cohort, name, metric)
        if paired is not None:
            return paired
        return _ask(metric, *pair, self.sides.epochs(cohort, name, metric))

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

    def _whole(self, name: str, metric: Metric, pairs: dict[str, tuple[Arm, Arm]]) -> _Draft:
        if len(pairs) == 1:
            ((cohort, pair),) = pairs.items()
            if is_tail(name):
                return _Draft(metric, None, _ask(metric, *pair))
            return _Draft(metric, None, self._cohort(cohort, name, metric, pair))
        if self.is_paired and (paired := self._paired("*", name, metric)):
            return _Draft(metric, None, paired)
        baseline = sum((pair[0] for pair in pairs.values()), start=NOTHING)
        candidate = sum((pair[1] for pair in pairs.values()), start=NOTHING)
        criteria = metric.criteria(baseline)
        if criteria is None or not baseline.n or not candidate.n:
            return _Draft(metric, None, None)
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
        question = strata_question(
            strata,
            criteria,
            worse=default.worse,
            is_rate=default.method is Method.RATE,
            is_log=default.method is Method.LOG_MEAN,
            value_range=default.value_range,
        )
        reversal = find_reversal(strata, floor=criteria.floor, worse=default.worse)
        return _Draft(metric, None, question, reversal)

    def _weight(self, cohort: str, baseline: Arm) -> float:
        return self.policy.mix.get(cohort, 0.0) if self.policy.mix else baseline.n

    def measured(self, draft: _Draft, answers: Iterator[Comparison]) -> Measured:
        """Return the signal of a draft; the next answer is the one to its question."""
        question, default = draft.question, draft.metric.default
        if question is None or isinstance(question, Comparison):
            comparison = question
        else:
            comparison = next(answers)
        signal = Signal(
            draft.metric.name,
            draft.cohort,
            comparison,
            role=self._role(draft.cohort, default.role),
            nature=default.nature,
            has_weight=self._matters(draft.cohort),
        )
        return Measured(signal, draft.metric.unit, self._days(comparison), draft.reversal)

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


def _ask(
    metric: Metric, baseline: Arm, candidate: Arm, epochs: Sequence[tuple[Arm, Arm]] = ()
) -> Question | None:
    criteria = metric.criteria(baseline)
    if criteria is None or not baseline.n or not candidate.n:
        return None
    default = metric.default
    if default.method is Method.RATE:
        return RateQuestion(baseline, candidate, criteria, default.prior_rate, counts_of(epochs))
    return mean_question(
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
        sum((sides.arm(c, side, BASE) for c in sides.labelled), start=NOTHING)
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
