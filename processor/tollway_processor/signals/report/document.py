"""What a report shows, and in which order: the worst first, the whole route before its cohorts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from tollway_processor.signals.evaluate import Evaluation
from tollway_processor.signals.sides import WHOLE_ROUTE
from tollway_processor.signals.statistics import (
    Comparison,
    Nature,
    Role,
    Signal,
    State,
    describe_values,
    format_harm,
    shown,
)

COLUMNS = (
    "metric",
    "cohort",
    "state",
    "baseline to candidate",
    "harm, always valid",
    "allowed",
    "traces",
)
UNLABELLED = "(unlabelled)"
_ORDER = {
    state: rank
    for rank, state in enumerate(
        (State.REGRESSED, State.INCONCLUSIVE, State.INSUFFICIENT, State.IMPROVED, State.HELD)
    )
}


@dataclass(frozen=True, slots=True)
class Example:
    """A trace that shows a loss; the worst of its cohort."""

    trace_id: str
    cohort: str
    metric: str
    value: str
    """What the metric was on this trace, in words."""


@dataclass(frozen=True, slots=True)
class Report:
    """An evaluation with what a reader needs to judge it."""

    evaluation: Evaluation
    made_at: str = ""
    """When it was made, in words (UTC)."""
    window: str = ""
    """Which traces it takes in, in words."""
    examples: tuple[Example, ...] = ()
    sql: str = ""
    """A statement that shows the traces behind the decision."""

    @property
    def title(self) -> str:
        """The route and its variants."""
        evaluation = self.evaluation
        sides = f"{shown(evaluation.candidate)} against {shown(evaluation.baseline)}"
        return f"Route {shown(evaluation.route)}: {sides}"

    @property
    def signals(self) -> list[Signal]:
        """All signals, the worst first."""
        return ordered(measured.signal for measured in self.evaluation.measured)


def ordered(signals: Iterable[Signal]) -> list[Signal]:
    """Return signals by state (the worst first), guardrails before others, then by name."""
    return sorted(
        signals,
        key=lambda s: (_ORDER[s.state], s.role is not Role.GUARDRAIL, s.metric, s.cohort or ""),
    )


def by_metric(signals: Sequence[Signal]) -> list[tuple[str, list[Signal]]]:
    """Group signals by metric: the metric with the worst state first, the whole route on top."""
    named = sorted(signals, key=lambda s: s.metric)
    groups = [(name, list(group)) for name, group in groupby(named, key=lambda s: s.metric)]
    for _, group in groups:
        group.sort(key=lambda s: (s.cohort is not None, _ORDER[s.state], s.cohort or ""))
    return sorted(groups, key=lambda g: (min(_ORDER[s.state] for s in g[1]), _rank(g[1][0]), g[0]))


def _rank(signal: Signal) -> tuple[bool, bool]:
    return signal.role is Role.WATCHED, signal.role is not Role.GUARDRAIL


def savings(signals: Sequence[Signal]) -> list[Signal]:
    """Return the cost and latency signals of the whole route."""
    wins = (Nature.COST, Nature.LATENCY)
    return [s for s in signals if s.nature in wins and s.cohort is None and s.comparison]


def losses(signals: Sequence[Signal], most: int = 6) -> list[Signal]:
    """Return the quality signals that a reader must see beside the savings, the worst first."""
    quality = [s for s in signals if s.nature is Nature.QUALITY and s.comparison]
    worst = [s for s in quality if s.state is State.REGRESSED]
    rest = [s for s in quality if s.cohort is None and s.state is not State.REGRESSED]
    return (sorted(worst, key=lambda s: -s.log_e_regressed) + rest)[:most]


def place(signal: Signal) -> str:
    """Return the cohort's name, or that it is the whole route."""
    if signal.cohort is None:
        return "whole route"
    return shown(signal.cohort) or UNLABELLED


def cells(signal: Signal) -> tuple[str, ...]:
    """Return one line of a table, in the order of COLUMNS."""
    where = WHOLE_ROUTE if signal.cohort is None else place(signal)
    metric, comparison = shown(signal.metric), signal.comparison
    if comparison is None or (signal.missing and not comparison.sizes.n_candidate):
        why = signal.missing or "not measured on both sides"
        return metric, where, str(signal.state), why, "", "", ""
    return (
        metric,
        where,
        str(signal.state),
        describe_values(comparison),
        interval(comparison),
        format_harm(comparison, comparison.criteria.margin),
        sizes(comparison),
    )


def interval(comparison: Comparison) -> str:
    """Return the always-valid interval of harm, in words."""
    if comparison.state is State.INSUFFICIENT:
        return "not yet"
    low, high = (format_harm(comparison, h) for h in (comparison.lower, comparison.upper))
    return f"{low} to {high}"


def sizes(comparison: Comparison) -> str:
    """Return traces, and sessions where they are fewer, candidate against baseline."""
    found = comparison.sizes
    text = f"{found.n_candidate:,.0f} against {found.n_baseline:,.0f}"
    if found.clusters_candidate < found.n_candidate or found.clusters_baseline < found.n_baseline:
        text += f" ({found.clusters_candidate:,.0f} and {found.clusters_baseline:,.0f} sessions)"
    return text
