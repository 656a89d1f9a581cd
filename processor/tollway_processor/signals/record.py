"""Evaluations as rows of `route_signals` and `route_verdicts`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tollway_processor.signals.alarm import alarm_rows, head_of
from tollway_processor.signals.arms import RolledBack
from tollway_processor.signals.evaluate import Evaluation
from tollway_processor.signals.signal_columns import finite, signal_block, signal_columns
from tollway_processor.signals.statistics import Decision
from tollway_processor.store.client import Store


def signal_rows(evaluation: Evaluation, evaluated_at: str) -> Iterator[dict[str, Any]]:
    """Yield the evaluation's rows of route_signals, the alarms last; logs as they are."""
    columns = signal_columns([evaluation])
    for row in zip(*columns.values(), strict=True):
        yield {"evaluated_at": evaluated_at, **dict(zip(columns, row, strict=True))}
    for alarm in alarm_rows(evaluation):
        yield {"evaluated_at": evaluated_at, **alarm}


def verdict_row(evaluation: Evaluation, evaluated_at: str) -> dict[str, Any]:
    """Return the evaluation's row of route_verdicts."""
    verdict, ratio = evaluation.verdict, evaluation.sample_ratio
    stands = evaluation.rolled_back
    if verdict.decision is Decision.ROLLBACK and stands is None:
        stands = RolledBack(evaluated_at, verdict.headline)
    return {
        "evaluated_at": evaluated_at,
        **head_of(evaluation),
        "verdict": str(verdict.decision),
        "cheaper_but_worse": verdict.cheaper_but_worse is not None,
        "observational": evaluation.is_observational,
        "e_value": finite([verdict.log_e_rollback]).item(),
        "reason": verdict.headline,
        "is_paired": evaluation.is_paired,
        "traces_needed": verdict.traces_needed,
        "days_needed": evaluation.days_needed,
        "declared_share": ratio.declared if ratio else None,
        "realised_share": finite([ratio.realised]).item() if ratio else None,
        "is_ratio_mismatch": ratio is not None and ratio.is_mismatch,
        "multiplicity": evaluation.multiplicity,
        "reasons": list(verdict.reasons),
        "rolled_back_at": stands.at if stands else "1970-01-01 00:00:00.000",
        "rolled_back_for": stands.reason if stands else "",
    }


def write(store: Store, evaluations: Iterable[Evaluation], evaluated_at: str) -> None:
    """Insert the evaluations; verdicts last, so that a verdict's signals are there with it."""
    evaluations = list(evaluations)
    if evaluations:
        names, block = signal_block(evaluations, evaluated_at)
        store.insert_block("route_signals", names, "ArrowStream", block)
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
