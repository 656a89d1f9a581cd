"""Why a signal could not be compared, in words: what one side alone has."""

from __future__ import annotations

from tollway_processor.signals.metrics import BASE, Metric
from tollway_processor.signals.sides import Sides
from tollway_processor.signals.statistics import shown

_NAMED = ("score_fail", "score_mean")  # measured under the signal's own name, and not on all traces
_MOST_COHORTS = 4


def missing(sides: Sides, metric: Metric, cohort: str | None) -> str:
    """Return what keeps the sides from being compared; empty where nothing is known to."""
    name = metric.name if metric.kind in _NAMED else BASE
    both = (sides.baseline, sides.candidate)
    alone: dict[str, str] = {}
    are_beside = False
    for place in sides.labelled if cohort is None else [cohort]:
        having = [side for side in both if sides.arm(place, side, name).n]
        are_beside = are_beside or len(having) == 2
        if len(having) == 1:
            alone[place] = having[0]
    if not alone:
        return "both sides have it, never at the same time" if are_beside and sides.shared else ""
    owners = set(alone.values())
    if len(owners) == 1 and not are_beside:
        return f"only {shown(owners.pop())} has it"
    listed = [f"{shown(place) or '(unlabelled)'} ({shown(side)})" for place, side in alone.items()]
    more = f" and {len(listed) - _MOST_COHORTS} more" if len(listed) > _MOST_COHORTS else ""
    return f"one side alone has {', '.join(listed[:_MOST_COHORTS])}{more}"
