"""Reads from the store what a report tells beside the evaluation: example traces."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from tollway_processor import schema_files
from tollway_processor.quoting import quote_string
from tollway_processor.signals.arms import Query, decoded_rows
from tollway_processor.signals.evaluate import Evaluation
from tollway_processor.signals.report.document import Example, Report
from tollway_processor.signals.sides import BUILT_IN, WHOLE_ROUTE
from tollway_processor.signals.statistics import Signal, State

EXAMPLES = 5  # traces shown for one loss
_LOSSES = 3  # losses that examples are shown for


def read_report(query: Query, evaluation: Evaluation, since_s: int, window: str) -> Report:
    """Return the report of an evaluation over the traces since a time (s since 1970, UTC).

    window: which traces these are, in words.
    """
    return Report(
        evaluation=evaluation,
        made_at=f"Made {datetime.now(UTC):%-d %B %Y, %H:%M} UTC",
        window=window,
        examples=tuple(_examples(query, evaluation, since_s)),
        sql=_statement(evaluation),
    )


def worst_traces(
    query: Query, evaluation: Evaluation, signal: Signal, since_s: int, limit: int = EXAMPLES
) -> list[Example]:
    """Return the candidate's traces that show a loss best, the worst first."""
    cohort = WHOLE_ROUTE if signal.cohort is None else signal.cohort
    is_labelled = not cohort.startswith(BUILT_IN)
    parameters = {
        "route": evaluation.route, "side": evaluation.candidate,
        "dimension": evaluation.dimension, "cohort": cohort if is_labelled else WHOLE_ROUTE,
        "metric": signal.metric, "since_s": max(since_s, 0), "split_s": 0, "limit": limit,
    }  # fmt: skip
    sql = schema_files.with_parts("queries/worst_traces.sql")
    found = decoded_rows(query(sql, parameters, "JSON"))
    return [
        Example(str(row["trace_id"]), str(row["cohort"]), signal.metric, f"{float(row['harm']):g}")
        for row in found
    ]


def _examples(query: Query, evaluation: Evaluation, since_s: int) -> Iterator[Example]:
    regressed = [m.signal for m in evaluation.measured if m.signal.state is State.REGRESSED]
    regressed.sort(key=lambda s: (s.cohort is None, -s.log_e_regressed))
    seen: set[str] = set()
    for signal in regressed[:_LOSSES]:
        for example in worst_traces(query, evaluation, signal, since_s):
            if example.trace_id not in seen:
                seen.add(example.trace_id)
                yield example


# What a side is called in `traces`; a period is no column.
_COLUMNS = {
    "variant": "variant", "release": "service_version", "prompt": "prompt_version",
    "model": "arrayStringConcat(models, '+')",
}  # fmt: skip


def _statement(evaluation: Evaluation) -> str:
    """A statement that a reader can paste into `tollway sql`."""
    where = f"route = {quote_string(evaluation.route)}"
    if column := _COLUMNS.get(evaluation.dimension):
        where += f" AND {column} = {quote_string(evaluation.candidate)}"
    return (
        "SELECT trace_id, cohort, started_at, cost_usd, scores, score_fails, outcomes\n"
        f"FROM traces FINAL\nWHERE {where}\nORDER BY started_at DESC LIMIT 100"
    )
