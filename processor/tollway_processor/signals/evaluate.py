"""From arms to signals and a verdict: one candidate against its baseline on one route. Pure.

Which statistics are used is signals/statistics'; where arms come from is arms.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tollway_processor.signals.arms import RolledBack, RouteArms
from tollway_processor.signals.policy import RoutePolicy, SignalsConfig
from tollway_processor.signals.quantile_shift import quantile_signals
from tollway_processor.signals.questions import Draft, Questions
from tollway_processor.signals.sides import BUILT_IN, Sides, Threshold, sides_of
from tollway_processor.signals.statistics import (
    Comparison,
    Reversal,
    Role,
    SampleRatio,
    Signal,
    Verdict,
    check_sample_ratio,
    compare_all,
    decide,
    describe,
    format_harm,
)

_ABOUT_AS_DEAR = 0.9


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
    to_freeze: tuple[Threshold, ...] = ()
    "Latency thresholds of the baseline that hold from now on."
    rolled_back: RolledBack | None = None
    "The ROLLBACK that stood before this one."

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
    """Return the side that costs most a trace: what a cheaper one is compared against.

    Of those that cost about as much it is the one that came first.
    """

    def mean_cost(side: str) -> float:
        costs = [
            arm
            for (cohort, s, m), arm in route.arms.items()
            if s == side and m == "cost_usd" and not cohort.startswith(BUILT_IN)
        ]
        n = sum(arm.n for arm in costs)
        return sum(arm.total for arm in costs) / n if n else 0.0

    costs = {side: mean_cost(side) for side in variants(route)}
    dear = [side for side, cost in costs.items() if cost >= _ABOUT_AS_DEAR * max(costs.values())]
    came = route.traffic.first_seen()
    return min(dear, key=lambda side: (came.get(side, 0), -costs[side], side))


@dataclass(frozen=True, slots=True)
class Task:
    """One candidate to compare with its baseline."""

    route: str
    arms: RouteArms
    baseline: str
    candidate: str
    dimension: str = "variant"
    rolled_back: RolledBack | None = None
    "The ROLLBACK that stands."


def evaluate(
    route: str,
    arms: RouteArms,
    baseline: str,
    candidate: str,
    *,
    config: SignalsConfig | None = None,
    dimension: str = "variant",
    rolled_back: RolledBack | None = None,
) -> Evaluation:
    """Compare a candidate with its baseline on every metric, for the route and each cohort.

    A metric that only one side has is a signal without a comparison: it never passes.
    """
    task = Task(route, arms, baseline, candidate, dimension, rolled_back)
    return evaluate_all([task], config)[0]


def evaluate_all(tasks: Sequence[Task], config: SignalsConfig | None = None) -> list[Evaluation]:
    """Evaluate many candidates; all their comparisons are made at once."""
    config = config or SignalsConfig()
    asked = [
        Questions.of(
            task.route,
            Sides(task.arms, task.baseline, task.candidate, config.rare_share, task.dimension),
            config,
        )
        for task in tasks
    ]
    drafts = [list(questions.drafts(config)) for questions in asked]
    unanswered = [
        draft.question
        for some in drafts
        for draft in some
        if not (draft.question is None or isinstance(draft.question, Comparison))
    ]
    answers = iter(compare_all(unanswered))
    evaluations = []
    for task, questions, some in zip(tasks, asked, drafts, strict=True):
        measured = [_measured(questions, draft, answers) for draft in some]
        measured += [Measured(s, "ln ms") for s in quantile_signals(questions.sides)]
        evaluations.append(_evaluation(task, questions, measured))
    return evaluations


def _evaluation(task: Task, questions: Questions, measured: list[Measured]) -> Evaluation:
    ratio = _sample_ratio(questions.sides, questions.policy)
    is_observational = not questions.is_paired and not (
        task.dimension == "variant"
        and questions.sides.is_concurrent
        and _is_random(questions.policy, task.candidate)
    )
    signals = [m.signal for m in measured]
    verdict = decide(
        signals,
        sample_ratio=ratio,
        is_observational=is_observational,
        rolled_back=_stands(task.rolled_back),
    )
    return Evaluation(
        task.route,
        task.baseline,
        task.candidate,
        tuple(measured),
        verdict,
        task.dimension,
        is_observational,
        questions.is_paired,
        ratio,
        describe_multiplicity(signals),
        tuple(questions.sides.to_freeze),
        task.rolled_back,
    )


def _stands(earlier: RolledBack | None) -> str:
    """Return what stands of an earlier ROLLBACK, in words."""
    if earlier is None:
        return ""
    reason = earlier.reason.removeprefix("Roll back: ").rstrip(".")
    return f"It was found credibly worse on {earlier.at[:16]} UTC, and that stands ({reason})."


def _measured(questions: Questions, draft: Draft, answers: Iterator[Comparison]) -> Measured:
    """Return a draft with its comparison: the one it has, else the next answer."""
    if draft.question is None or isinstance(draft.question, Comparison):
        comparison = draft.question
    else:
        comparison = next(answers)
    signal = questions.signal(draft, comparison)
    return Measured(signal, draft.metric.unit, questions.days(comparison), draft.reversal)


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


def _is_random(policy: RoutePolicy, candidate: str) -> bool:
    return policy.assignment == "random" or candidate in policy.shares


def _sample_ratio(sides: Sides, policy: RoutePolicy) -> SampleRatio | None:
    """Check the declared split, over sessions where they stick to a side, else over traces.

    What is declared is the split of now: earlier epochs had another.
    """
    declared = policy.shares.get(sides.candidate)
    if declared is None:
        return None
    arms = [sides.newest(side) for side in (sides.baseline, sides.candidate)]
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
