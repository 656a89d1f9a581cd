"""One metric of one (route, cohort) with its comparison, its part in a release, and its wording.

How the comparison is made belongs to rates, means, paired and strata; what a set of signals
decides belongs to verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from .comparison import Comparison, State


class Role(StrEnum):
    """What a signal may do to a release."""

    GUARDRAIL = "guardrail"
    "Must hold: a regression rolls back, a gap in the data blocks."
    TRIPWIRE = "tripwire"
    "A regression rolls back; a gap in the data does not block."
    GOAL = "goal"
    "What the candidate is for: a regression blocks, nothing is required."
    WATCHED = "watched"
    "Shown and never decisive."


class Nature(StrEnum):
    """What a metric measures, for CHEAPER_BUT_WORSE."""

    QUALITY = "quality"
    COST = "cost"
    LATENCY = "latency"
    VOLUME = "volume"
    "Tokens, tool calls: a shift is worth seeing and neither good nor bad by itself."


@dataclass(frozen=True, slots=True)
class Signal:
    """A metric on a cohort (None: the whole route); comparison None says nothing was measured."""

    metric: str
    cohort: str | None
    comparison: Comparison | None
    role: Role = Role.GUARDRAIL
    nature: Nature = Nature.QUALITY
    has_weight: bool = True
    "Whether the cohort is one that matters: only those promote or roll back."
    missing: str = ""
    "Why there is nothing to compare, in words."

    @property
    def key(self) -> tuple[str, str | None]:
        """What weights are declared for: (metric, cohort)."""
        return self.metric, self.cohort

    @property
    def state(self) -> State:
        """The comparison's state; a metric that was not measured is INSUFFICIENT."""
        return self.comparison.state if self.comparison else State.INSUFFICIENT

    @property
    def log_e_regressed(self) -> float:
        """Evidence of harm above the floor; -inf below the floor or the minimum of traces."""
        comparison = self.comparison
        if comparison is None or comparison.state is State.INSUFFICIENT:
            return -math.inf
        if comparison.difference <= comparison.criteria.floor:
            return -math.inf
        return comparison.evidence.log_e_regressed

    @property
    def log_e_improved(self) -> float:
        """Evidence of being better; -inf below the minimum of traces."""
        comparison = self.comparison
        if comparison is None or comparison.state is State.INSUFFICIENT:
            return -math.inf
        if comparison.sizes.missing_traces_held(comparison.criteria):
            return -math.inf
        return comparison.evidence.log_e_improved

    @property
    def place(self) -> str:
        """Where the signal was measured, in words."""
        if self.cohort is None:
            return "the whole route"
        return f"cohort {shown(self.cohort)}" if shown(self.cohort) else "traces without a cohort"


_VERBS = {
    State.REGRESSED: "got worse",
    State.IMPROVED: "got better",
    State.HELD: "held",
    State.INCONCLUSIVE: "is not decided yet",
    State.INSUFFICIENT: "has too little data",
}


def shown(name: str) -> str:
    """Return a name from outside on one line, without characters that would steer a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())


def describe(signal: Signal) -> str:
    """Return one plain sentence: what happened, where, how much, how sure, on how many traces."""
    comparison = signal.comparison
    opening = f"{shown(signal.metric)} {_VERBS[signal.state]} on {signal.place}"
    if comparison is None or (signal.missing and not comparison.sizes.n_candidate):
        return f"{opening}: {signal.missing or 'nothing was measured'}."
    sizes = comparison.sizes
    traces = f"{sizes.n_candidate:,.0f} candidate traces against {sizes.n_baseline:,.0f}"
    if comparison.state is State.INSUFFICIENT:
        return f"{opening}: {traces}{_few_sessions(comparison)}{_still_needed(comparison)}."
    text = f"{opening}: {describe_values(comparison)}, {_surety(comparison)}, {traces}"
    if comparison.state is State.INCONCLUSIVE:
        text += _still_needed(comparison)
    return f"{text}."


def describe_values(comparison: Comparison) -> str:
    """Return the two values and their difference: `4.1 % to 31.0 % (+26.9 points)`."""
    if comparison.is_rate:
        base, other = 100 * comparison.baseline, 100 * comparison.candidate
        return f"{base:.1f} % to {other:.1f} % ({other - base:+.1f} points)"
    if comparison.is_log:
        return f"{100 * (comparison.ratio[0] - 1):+.1f} % against the baseline"
    change = comparison.candidate - comparison.baseline
    return f"{comparison.baseline:.4g} to {comparison.candidate:.4g} ({change:+.3g})"


def format_harm(comparison: Comparison, harm: float) -> str:
    """Return a harm in the metric's unit: points for rates, a factor for logs, else a number."""
    return _harm_format(comparison)(harm)


def _harm_format(comparison: Comparison) -> Callable[[float], str]:
    if comparison.is_rate:
        return _points
    return _factor if comparison.is_log else _number


def _points(harm: float) -> str:
    return "unbounded" if math.isinf(harm) else f"{100 * harm:+.1f} points"


def _factor(harm: float) -> str:
    return "unbounded" if math.isinf(harm) else f"{100 * math.expm1(min(harm, 700.0)):+.1f} %"


def _number(harm: float) -> str:
    return "unbounded" if math.isinf(harm) else f"{harm:+.3g}"


def _surety(comparison: Comparison) -> str:
    """Return what the interval rules out, for the state it is in."""
    state, told = comparison.state, _harm_format(comparison)
    if state is State.REGRESSED:
        return f"harm of at least {told(comparison.lower)}"
    if state is State.INCONCLUSIVE:
        return f"harm between {told(comparison.lower)} and {told(comparison.upper)}"
    margin = told(comparison.criteria.margin)
    return f"harm of at most {told(comparison.upper)} (allowed {margin})"


def _few_sessions(comparison: Comparison) -> str:
    """Return how many sessions the traces come in, where that is what is too little."""
    sizes, needed = comparison.sizes, comparison.criteria.minimum_clusters
    fewest = min(sizes.clusters_baseline, sizes.clusters_candidate)
    if fewest >= needed or fewest >= min(sizes.n_baseline, sizes.n_candidate):
        return ""
    return (
        f", from {sizes.clusters_candidate:,.0f} sessions or users against "
        f"{sizes.clusters_baseline:,.0f} where {needed} are needed"
    )


def _still_needed(comparison: Comparison) -> str:
    if comparison.traces_needed is None:
        return ", no number of traces foreseeable"
    return f", about {comparison.traces_needed:,} more needed"
