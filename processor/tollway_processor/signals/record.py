"""Evaluations as rows of `route_signals` and `route_verdicts`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

from tollway_processor.signals.arms import RolledBack, labelled
from tollway_processor.signals.evaluate import Evaluation, Measured, losing_cohorts
from tollway_processor.signals.sides import WHOLE_ROUTE
from tollway_processor.signals.statistics import CheaperButWorse, Decision, Role, Signal, describe
from tollway_processor.store.client import Store

ALARM = "CHEAPER_BUT_WORSE"
_LARGEST = 1e300  # JSON and SQL tools trip over infinities


def signal_rows(evaluation: Evaluation, evaluated_at: str) -> Iterator[dict[str, Any]]:
    """Yield the evaluation's rows of route_signals, the alarm's last; logs as they are."""
    head = _head(evaluation, evaluated_at)
    for measured in evaluation.measured:
        yield {**head, **_signal(measured)}
    for cohort in losing_cohorts(evaluation):
        yield {**head, **_alarm(evaluation, cohort)}


def verdict_row(evaluation: Evaluation, evaluated_at: str) -> dict[str, Any]:
    """Return the evaluation's row of route_verdicts."""
    verdict, ratio = evaluation.verdict, evaluation.sample_ratio
    stands = evaluation.rolled_back
    if verdict.decision is Decision.ROLLBACK and stands is None:
        stands = RolledBack(evaluated_at, verdict.headline)
    return {
        **_head(evaluation, evaluated_at),
        "verdict": str(verdict.decision),
        "cheaper_but_worse": verdict.cheaper_but_worse is not None,
        "observational": evaluation.is_observational,
        "e_value": _finite(verdict.log_e_rollback),
        "reason": verdict.headline,
        "is_paired": evaluation.is_paired,
        "traces_needed": verdict.traces_needed,
        "days_needed": evaluation.days_needed,
        "declared_share": ratio.declared if ratio else None,
        "realised_share": _finite(ratio.realised) if ratio else None,
        "is_ratio_mismatch": ratio is not None and ratio.is_mismatch,
        "multiplicity": evaluation.multiplicity,
        "reasons": list(verdict.reasons),
        "rolled_back_at": stands.at if stands else "1970-01-01 00:00:00.000",
        "rolled_back_for": stands.reason if stands else "",
    }


def _head(evaluation: Evaluation, evaluated_at: str) -> dict[str, Any]:
    dimension = evaluation.dimension
    return {
        "evaluated_at": evaluated_at,
        "route": evaluation.route,
        "baseline": labelled(dimension, evaluation.baseline),
        "candidate": labelled(dimension, evaluation.candidate),
        "dimension": dimension,
    }


def write(store: Store, evaluations: Iterable[Evaluation], evaluated_at: str) -> None:
    """Insert the evaluations; verdicts last, so that a verdict's signals are there with it."""
    evaluations = list(evaluations)
    signals = [row for e in evaluations for row in signal_rows(e, evaluated_at)]
    _insert(store, "route_signals", signals)
    _insert(store, "route_verdicts", [verdict_row(e, evaluated_at) for e in evaluations])
    frozen = [
        {"route": e.route, **threshold._asdict(), "frozen_at": evaluated_at}
        for e in evaluations
        for threshold in e.to_freeze
    ]
    _insert(store, "latency_thresholds", frozen)


def _insert(store: Store, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        lines = "\n".join(json.dumps(row, allow_nan=False) for row in rows)
        store.insert_block(table, list(rows[0]), "JSONEachRow", lines.encode())


def _signal(measured: Measured) -> dict[str, Any]:
    signal = measured.signal
    comparison = signal.comparison
    row: dict[str, Any] = {
        "cohort": signal.cohort if signal.cohort is not None else WHOLE_ROUTE,
        "metric": signal.metric,
        "kind": "rate" if comparison is None else _kind(comparison.method),
        "state": str(signal.state),
        "unit": measured.unit,
        "guardrail": signal.role is Role.GUARDRAIL and signal.has_weight,
        **_nothing_measured(),
        "role": str(signal.role),
        "matters": signal.has_weight,
        "nature": str(signal.nature),
        "reason": measured.reason,
    }
    if comparison is None:
        return row
    return row | {
        "baseline_value": _finite(comparison.baseline),
        "candidate_value": _finite(comparison.candidate),
        "harm": _finite(comparison.difference),
        "pooled_harm": _finite(measured.reversal.pooled) if measured.reversal else None,
        "lower": _finite(comparison.lower),
        "upper": _finite(comparison.upper),
        "margin": _finite(comparison.criteria.margin),
        "baseline_n": int(comparison.sizes.n_baseline),
        "candidate_n": int(comparison.sizes.n_candidate),
        "baseline_clusters": int(comparison.sizes.clusters_baseline),
        "candidate_clusters": int(comparison.sizes.clusters_candidate),
        "e_regressed": _finite(comparison.evidence.log_e_regressed),
        "e_held": _finite(comparison.evidence.log_e_held),
        "e_improved": _finite(comparison.evidence.log_e_improved),
        "traces_needed": comparison.traces_needed,
        "days_needed": measured.days_needed,
        "design_effect": _finite(comparison.design_effect),
    }


def first_gains(alarm: CheaperButWorse) -> list[Signal]:
    """Return the gain to name first: of the whole route, and the cost where it is one."""
    return sorted(alarm.gains, key=lambda s: (s.cohort is not None, s.metric != "cost_usd"))[:1]


def alarm_words(evaluation: Evaluation, cohort: str | None) -> str:
    """Return what got better and what got worse on a losing cohort, in sentences."""
    alarm = evaluation.verdict.cheaper_but_worse
    if alarm is None:
        return ""
    losses = _losses(evaluation, cohort)
    sentences = [describe(gain) for gain in first_gains(alarm)] + [describe(s) for s in losses[:2]]
    if len(losses) > 2:
        sentences.append(f"{len(losses) - 2} more got worse there.")
    return " ".join(sentences)


def _losses(evaluation: Evaluation, cohort: str | None) -> list[Signal]:
    alarm = evaluation.verdict.cheaper_but_worse
    return [loss for loss in alarm.losses if loss.cohort == cohort] if alarm else []


def _alarm(evaluation: Evaluation, cohort: str | None) -> dict[str, Any]:
    losses = _losses(evaluation, cohort)
    worst = losses[0].comparison if losses else None
    return {
        "cohort": WHOLE_ROUTE if cohort is None else cohort,
        "metric": "cheaper_but_worse",
        "kind": "alarm",
        "state": ALARM,
        "unit": "",
        "guardrail": False,
        **_nothing_measured(),
        "nature": "quality",
        "matters": True,
        "reason": alarm_words(evaluation, cohort),
        "baseline_n": int(worst.sizes.n_baseline) if worst else 0,
        "candidate_n": int(worst.sizes.n_candidate) if worst else 0,
    }


def _nothing_measured() -> dict[str, Any]:
    numbers = ("baseline_value", "candidate_value", "harm", "lower", "upper", "margin")
    counts = ("baseline_n", "candidate_n", "baseline_clusters", "candidate_clusters")
    return {
        **dict.fromkeys(numbers, 0.0),
        **dict.fromkeys(counts, 0),
        "e_regressed": 0.0,
        "e_held": 0.0,
        "e_improved": 0.0,
        "pooled_harm": None,
        "traces_needed": None,
        "days_needed": None,
        "role": str(Role.WATCHED),
        "matters": False,
        "nature": "quality",
        "design_effect": 1.0,
    }


def _kind(method: str) -> str:
    return method.removeprefix("stratified_").removeprefix("paired_")


def _finite(value: float) -> float:
    if math.isnan(value):
        return 0.0
    # The engine adds in any order: the last digits are not the same from one look to the next.
    return float(f"{max(-_LARGEST, min(_LARGEST, value)):.9g}")
