"""`tollway gate`: promote, hold or roll back a candidate; its exit code is the answer."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from tollway_processor.commands.reader import reader, since_s
from tollway_processor.commands.tables import console
from tollway_processor.config import Config
from tollway_processor.errors import UsageError
from tollway_processor.signals.arms import (
    RouteArms,
    Slice,
    read_arms,
    read_rolled_back,
    store_query,
    with_pairs,
)
from tollway_processor.signals.evaluate import evaluate, variants
from tollway_processor.signals.record import signal_rows
from tollway_processor.signals.report import Report, html, markdown, table
from tollway_processor.signals.report.facts import read_report

EXIT_CODES = {"PROMOTE": 0, "ROLLBACK": 1, "HOLD": 2}
NOTHING_TO_COMPARE = 3


def run_gate(
    config: Config, route: str, baseline: str, candidate: str, since: str | None, format: str
) -> int:
    """Decide and say why; returns 0 PROMOTE, 1 ROLLBACK, 2 HOLD.

    Raises UsageError (which the gate exits with 3) when there is nothing to compare.
    """
    start_s = since_s(since)
    with reader(config) as source:
        query = store_query(source.query)
        cut = Slice(since_s=start_s)
        arms = read_arms(query, [route], cut, config.signals).get(route, RouteArms({}))
        present = variants(arms)
        for variant in (baseline, candidate):
            if variant not in present:
                have = ", ".join(present) or "none"
                raise UsageError(
                    f"route {route} has no traces of variant {variant} (it has: {have})"
                )
        if baseline == candidate:
            raise UsageError("--baseline and --candidate are the same variant")
        arms = with_pairs(query, arms, route, baseline, cut, config.signals)
        rolled_back = read_rolled_back(query, [route], start_s)
        evaluation = evaluate(
            route,
            arms,
            baseline,
            candidate,
            config=config.signals,
            was_rolled_back=(route, baseline, candidate) in rolled_back,
        )
        window = f"Traces of the last {since}" if since else "All traces"
        report = read_report(query, evaluation, start_s, window)
    _print(report, format)
    return EXIT_CODES[str(evaluation.verdict.decision)]


def _print(report: Report, format: str) -> None:
    if format == "json":
        print(json.dumps(_document(report), indent=1))
    elif format == "table":
        console().print(table(report))
    else:
        sys.stdout.write(markdown(report) if format == "markdown" else html(report))


def _document(report: Report) -> dict[str, Any]:
    evaluation, verdict = report.evaluation, report.evaluation.verdict
    return {
        "route": evaluation.route,
        "baseline": evaluation.baseline,
        "candidate": evaluation.candidate,
        "verdict": str(verdict.decision),
        "reason": verdict.headline,
        "reasons": list(verdict.reasons),
        "cheaper_but_worse": verdict.cheaper_but_worse is not None,
        "traces_needed": verdict.traces_needed,
        "days_needed": evaluation.days_needed,
        "examples": [asdict(example) for example in report.examples],
        "signals": [
            {name: cell for name, cell in row.items() if name != "evaluated_at"}
            for row in signal_rows(evaluation, "")
        ],
    }
