"""Finds what changed: evaluations against what was last told, as alerts. Pure.

A state is told when it is entered, once. A recovery (HOLD, HELD, IMPROVED) is told only after
something else was; the states that wait for data (INCONCLUSIVE, INSUFFICIENT) never are, so that a
signal on the brink raises one alert and not a stream of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tollway_processor.signals.alarm import ALARM, alarm_words
from tollway_processor.signals.arms import labelled
from tollway_processor.signals.evaluate import Evaluation, losing_cohorts
from tollway_processor.signals.sides import WHOLE_ROUTE
from tollway_processor.signals.statistics import Role, Signal, State, describe

VERDICT = "verdict"
CHEAPER_BUT_WORSE = "cheaper_but_worse"
_RECOVERIES = frozenset({"HOLD", "HELD", "IMPROVED"})

# route, cohort, baseline, candidate, metric
Key = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """The newest alert of a key."""

    alert_id: str
    state: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One change of state."""

    alert_id: str
    route: str
    cohort: str
    baseline: str
    candidate: str
    metric: str
    state: str
    previous: str
    reason: str
    examples: tuple[str, ...] = ()
    raised_at: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """An alert and the signal whose traces show it, None where the verdict has no loss."""

    alert: Alert
    signal: Signal | None


def find_changes(evaluation: Evaluation, told: Mapping[Key, Told]) -> list[Change]:
    """Return what an evaluation changes over what was told before."""
    return [
        Change(_alert(key, state, reason, told.get(key)), signal)
        for key, state, reason, signal in _states(evaluation)
        if _is_news(state, told.get(key))
    ]


def _states(evaluation: Evaluation) -> Iterator[tuple[Key, str, str, Signal | None]]:
    """Yield what may be told: the verdict, the alarm by cohort, each guardrail."""
    verdict = evaluation.verdict
    alarm = verdict.cheaper_but_worse
    losses = list(alarm.losses) if alarm else []
    yield (
        _key(evaluation, WHOLE_ROUTE, VERDICT),
        str(verdict.decision),
        verdict.headline,
        losses[0] if losses else _worst(m.signal for m in evaluation.measured),
    )
    for cohort in losing_cohorts(evaluation):
        loss = next((s for s in losses if s.cohort == cohort), None)
        place = WHOLE_ROUTE if cohort is None else cohort
        yield (
            _key(evaluation, place, CHEAPER_BUT_WORSE),
            ALARM,
            alarm_words(evaluation, cohort),
            loss,
        )
    for measured in evaluation.measured:
        signal = measured.signal
        if signal.role is Role.GUARDRAIL and signal.has_weight and not signal.state.is_open:
            place = WHOLE_ROUTE if signal.cohort is None else signal.cohort
            key = _key(evaluation, place, signal.metric)
            yield key, str(signal.state), describe(signal), signal


def _worst(signals: Iterable[Signal]) -> Signal | None:
    regressed = [s for s in signals if s.state is State.REGRESSED and s.role is Role.GUARDRAIL]
    return max(regressed, key=lambda s: s.log_e_regressed, default=None)


def _key(evaluation: Evaluation, cohort: str, metric: str) -> Key:
    sides = (
        labelled(evaluation.dimension, side) for side in (evaluation.baseline, evaluation.candidate)
    )
    baseline, candidate = sides
    return evaluation.route, cohort, baseline, candidate, metric


def _is_news(state: str, told: Told | None) -> bool:
    if told is None:
        return state not in _RECOVERIES
    if state in _RECOVERIES and told.state in _RECOVERIES:
        return False
    return state != told.state


def _alert(key: Key, state: str, reason: str, told: Told | None) -> Alert:
    # The id follows from what is told, so that two processors on one store find one alert.
    told_before = told.alert_id if told else ""
    digest = hashlib.sha256("\x1f".join((*key, state, told_before)).encode()).hexdigest()
    route, cohort, baseline, candidate, metric = key
    return Alert(
        digest[:32], route, cohort, baseline, candidate, metric, state,
        told.state if told else "", reason,
    )  # fmt: skip
