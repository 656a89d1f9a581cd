"""The alarm CHEAPER_BUT_WORSE: its rows of `route_signals`, and what it says in words.

When it is raised is statistics/verdict.py's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tollway_processor.signals.arms import labelled
from tollway_processor.signals.evaluate import Evaluation, losing_cohorts
from tollway_processor.signals.sides import WHOLE_ROUTE
from tollway_processor.signals.statistics import CheaperButWorse, Role, Signal, describe

ALARM = "CHEAPER_BUT_WORSE"
_NUMBERS = (
    "baseline_value", "candidate_value", "harm", "lower", "upper", "margin", "e_regressed",
    "e_held", "e_improved", "baseline_clusters", "candidate_clusters",
)  # fmt: skip


def head_of(evaluation: Evaluation) -> dict[str, str]:
    """Return what each row of an evaluation begins with."""
    dimension = evaluation.dimension
    return {
        "route": evaluation.route,
        "baseline": labelled(dimension, evaluation.baseline),
        "candidate": labelled(dimension, evaluation.candidate),
        "dimension": dimension,
    }


def alarm_rows(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """Yield the rows that say where the candidate is cheaper but worse."""
    for cohort in losing_cohorts(evaluation):
        losses = losses_on(evaluation, cohort)
        worst = losses[0].comparison if losses else None
        yield {
            **head_of(evaluation),
            "cohort": WHOLE_ROUTE if cohort is None else cohort,
            "metric": "cheaper_but_worse",
            "kind": "alarm",
            "state": ALARM,
            "unit": "",
            "guardrail": False,
            "role": str(Role.WATCHED),
            "matters": True,
            "nature": "quality",
            "reason": alarm_words(evaluation, cohort),
            "pooled_harm": None,
            "traces_needed": None,
            "days_needed": None,
            **dict.fromkeys(_NUMBERS, 0.0),
            "design_effect": 1.0,
            "baseline_n": int(worst.sizes.n_baseline) if worst else 0,
            "candidate_n": int(worst.sizes.n_candidate) if worst else 0,
        }


def first_gains(alarm: CheaperButWorse) -> list[Signal]:
    """Return the gain to name first: of the whole route, and the cost where it is one."""
    return sorted(alarm.gains, key=lambda s: (s.cohort is not None, s.metric != "cost_usd"))[:1]


def alarm_words(evaluation: Evaluation, cohort: str | None) -> str:
    """Return what got better and what got worse on a losing cohort, in sentences."""
    alarm = evaluation.verdict.cheaper_but_worse
    if alarm is None:
        return ""
    losses = losses_on(evaluation, cohort)
    sentences = [describe(gain) for gain in first_gains(alarm)] + [describe(s) for s in losses[:2]]
    if len(losses) > 2:
        sentences.append(f"{len(losses) - 2} more got worse there.")
    return " ".join(sentences)


def losses_on(evaluation: Evaluation, cohort: str | None) -> list[Signal]:
    """Return what got worse on a losing cohort, the surest first."""
    alarm = evaluation.verdict.cheaper_but_worse
    return [loss for loss in alarm.losses if loss.cohort == cohort] if alarm else []
