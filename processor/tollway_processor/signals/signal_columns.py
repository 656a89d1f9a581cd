"""What was measured as columns of `route_signals`, and as the block that is written.

A look at a thousand routes writes a third of a million rows, so numbers go by arrays. Alarms are
alarm.py's, verdicts and writing record.py's.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tollway_processor.signals.alarm import alarm_rows, head_of
from tollway_processor.signals.evaluate import Evaluation
from tollway_processor.signals.sides import WHOLE_ROUTE
from tollway_processor.signals.statistics import (
    Comparison,
    Criteria,
    Evidence,
    Role,
    Sizes,
    State,
)

_LARGEST = 1e300  # JSON and SQL tools trip over infinities
_DIGITS = 9  # the engine adds in any order: the last digits differ from one look to the next
_NUMBERS = {
    "baseline_value": attrgetter("baseline"),
    "candidate_value": attrgetter("candidate"),
    "harm": attrgetter("difference"),
    "lower": attrgetter("lower"),
    "upper": attrgetter("upper"),
    "e_regressed": attrgetter("evidence.log_e_regressed"),
    "e_held": attrgetter("evidence.log_e_held"),
    "e_improved": attrgetter("evidence.log_e_improved"),
    "design_effect": attrgetter("design_effect"),
}
_COUNTS = {
    "baseline_n": attrgetter("sizes.n_baseline"),
    "candidate_n": attrgetter("sizes.n_candidate"),
    "baseline_clusters": attrgetter("sizes.clusters_baseline"),
    "candidate_clusters": attrgetter("sizes.clusters_candidate"),
}
_KINDS = {
    f"{prefix}{kind}": kind
    for prefix in ("stratified_", "paired_")
    for kind in ("rate", "mean", "log_mean")
}
_UNMEASURED = Comparison(
    method="rate",
    baseline=0.0,
    candidate=0.0,
    difference=0.0,
    lower=0.0,
    upper=0.0,
    evidence=Evidence(0.0, 0.0, 0.0),
    sizes=Sizes(0, 0, 0, 0),
    criteria=Criteria(margin=1.0, floor=0.0),
    state=State.INSUFFICIENT,
    traces_needed=None,
)


def signal_columns(evaluations: Sequence[Evaluation]) -> dict[str, list[Any]]:
    """Return the columns of what was measured, equally long, in the order of the evaluations."""
    measured = [m for evaluation in evaluations for m in evaluation.measured]
    signals = [m.signal for m in measured]
    comparisons = [s.comparison or _UNMEASURED for s in signals]
    columns: dict[str, list[Any]] = {
        **_heads(evaluations),
        "cohort": [WHOLE_ROUTE if s.cohort is None else s.cohort for s in signals],
        "metric": [s.metric for s in signals],
        "kind": [_KINDS.get(c.method, c.method) for c in comparisons],
        "state": [s.state for s in signals],
        "unit": [m.unit for m in measured],
        "guardrail": [s.role is Role.GUARDRAIL and s.has_weight for s in signals],
        "role": [s.role for s in signals],
        "matters": [s.has_weight for s in signals],
        "nature": [s.nature for s in signals],
        "reason": [m.reason for m in measured],
        "margin": finite(
            [s.comparison.criteria.margin if s.comparison else 0.0 for s in signals]
        ).tolist(),
        "pooled_harm": [None if m.reversal is None else m.reversal.pooled for m in measured],
        "traces_needed": [c.traces_needed for c in comparisons],
        "days_needed": [m.days_needed for m in measured],
    }
    for name, of in _NUMBERS.items():
        columns[name] = finite([of(c) for c in comparisons]).tolist()
    for name, of in _COUNTS.items():
        columns[name] = [int(of(c)) for c in comparisons]
    return columns


def _heads(evaluations: Sequence[Evaluation]) -> dict[str, list[str]]:
    heads = [head_of(evaluation) for evaluation in evaluations]
    lengths = [len(evaluation.measured) for evaluation in evaluations]
    return {
        name: [
            text
            for head, length in zip(heads, lengths, strict=True)
            for text in itertools.repeat(head[name], length)
        ]
        for name in ("route", "baseline", "candidate", "dimension")
    }


def finite(values: Sequence[float]) -> NDArray[np.float64]:
    """Return numbers with nine digits, without infinities, and 0 for what is not a number."""
    numbers = np.nan_to_num(np.array(values, dtype=np.float64), posinf=np.inf, neginf=-np.inf)
    numbers = np.clip(numbers, -_LARGEST, _LARGEST)
    sizes = np.where(numbers == 0, 1.0, np.abs(numbers))
    places = _DIGITS - 1 - np.floor(np.log10(sizes))
    up, down = 10.0 ** np.clip(places, 0, 300), 10.0 ** np.clip(-places, 0, 300)
    return np.asarray(np.rint(numbers / down * up) / up * down)


def signal_block(evaluations: Sequence[Evaluation], evaluated_at: str) -> tuple[list[str], bytes]:
    """Return the columns of route_signals and all rows, alarms too, in the format ArrowStream."""
    # Taken in when first needed: it weighs 27 MiB, and an idle processor has nothing to write.
    import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types

    columns = signal_columns(evaluations)
    types = {
        **dict.fromkeys(columns, pa.string()),
        **dict.fromkeys((*_NUMBERS, "margin", "pooled_harm", "days_needed"), pa.float64()),
        **dict.fromkeys((*_COUNTS, "traces_needed"), pa.uint64()),
        **dict.fromkeys(("guardrail", "matters"), pa.bool_()),
    }
    schema = pa.schema([("evaluated_at", pa.timestamp("ms", "UTC")), *types.items()])
    at = datetime.fromisoformat(evaluated_at).replace(tzinfo=UTC)
    arrays = [pa.array(column, types[name]) for name, column in columns.items()]
    times = pa.array([at], schema.field(0).type).take(pa.array(np.zeros(len(arrays[0]), np.int8)))
    alarms = [{"evaluated_at": at, **row} for e in evaluations for row in alarm_rows(e)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(pa.table([times, *arrays], schema=schema))
        writer.write_table(pa.Table.from_pylist(alarms, schema))
    return schema.names, sink.getvalue().to_pybytes()
