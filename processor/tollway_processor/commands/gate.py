"""`tollway gate`: promote, hold or roll back a candidate; its exit code is the answer."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from tollway_processor import schema_files
from tollway_processor.commands.reader import reader, since_s
from tollway_processor.commands.tables import console
from tollway_processor.config import Config
from tollway_processor.errors import UsageError
from tollway_processor.signals.arms import (
    Query,
    RouteArms,
    Slice,
    decoded_rows,
    labelled,
    read_arms,
    read_rolled_back,
    store_query,
    with_pairs,
)
from tollway_processor.signals.evaluate import Evaluation, evaluate, variants
from tollway_processor.signals.evaluator import start_s as start_s_of
from tollway_processor.signals.policy import SignalsConfig
from tollway_processor.signals.record import signal_rows
from tollway_processor.signals.report import Report, html, markdown, table
from tollway_processor.signals.report.facts import read_report

EXIT_CODES = {"PROMOTE": 0, "ROLLBACK": 1, "HOLD": 2}
NOTHING_TO_COMPARE = 3


@dataclass(frozen=True)
class Question:
    """What `tollway gate` is asked."""

    route: str
    baseline: str
    candidate: str
    since: str | None = None
    stage: str | None = None
    """checkpoint: a dataset answered by both; mirror: mirrored traffic; canary: shared traffic."""
    by: str = "variant"
    """What baseline and candidate are: variant, model, release, prompt, period."""
    split: str | None = None
    """Of `by` period: the time, UTC, that divides the sides "before" and "after"."""


def run_gate(config: Config, question: Question, format: str) -> int:
    """Decide and say why; returns 0 PROMOTE, 1 ROLLBACK, 2 HOLD.

    Raises UsageError (which the gate exits with 3) when there is nothing to compare.
    """
    cut = Slice(
        _start_s(question, config.signals), dimension=question.by, split_s=_split_s(question)
    )
    with reader(config) as source:
        query = store_query(source.query)
        arms = _arms(query, question, cut, config.signals)
        sides = question.baseline, question.candidate
        baseline, candidate = (labelled(question.by, side) for side in sides)
        rolled_back = read_rolled_back(query, [question.route], cut.since_s)
        evaluation = evaluate(
            question.route,
            arms,
            *sides,
            config=config.signals,
            dimension=question.by,
            rolled_back=rolled_back.get((question.route, baseline, candidate)),
        )
        _check_stage(question, evaluation)
        start = datetime.fromtimestamp(cut.since_s, UTC)
        window = f"Traces since {start:%-d %B %Y, %H:%M} UTC"
        # Of periods the candidate is what began after the split.
        report = read_report(query, evaluation, max(cut.since_s, cut.split_s), window)
    _print(report, format)
    return EXIT_CODES[str(evaluation.verdict.decision)]


def _start_s(question: Question, config: SignalsConfig) -> int:
    """Return where the traces start: as asked, else as the server's own verdicts have it."""
    if question.since is None:
        return start_s_of(question.route, config)
    return max(since_s(question.since), config.route(question.route).since_s)


def _arms(query: Query, question: Question, cut: Slice, config: SignalsConfig) -> RouteArms:
    route = question.route
    arms = read_arms(query, [route], cut, config).get(route, RouteArms({}))
    present = variants(arms)
    for side in (question.baseline, question.candidate):
        if side not in present:
            start = f"{datetime.fromtimestamp(cut.since_s, UTC):%-d %B %Y, %H:%M} UTC"
            if not present:
                kind = "" if question.by == "period" else f" that tell a {question.by}"
                raise UsageError(
                    f"route {route} has no traces{kind} since {start}: see `tollway routes`"
                )
            raise UsageError(
                f"route {route} has no traces of {question.by} {side} since {start} "
                f"(it has: {', '.join(present)}){_inner(query, question, side, cut)}"
            )
    if question.baseline == question.candidate:
        raise UsageError("--baseline and --candidate are the same")
    if question.stage == "canary":
        return arms
    return with_pairs(query, arms, route, question.baseline, cut, config)


def _inner(query: Query, question: Question, side: str, cut: Slice) -> str:
    """Return that a variant is only found inside another's traces, where it is."""
    if question.by != "variant":
        return ""
    parameters = {"route": question.route, "side": side, "since_s": cut.since_s}
    sql = schema_files.text("rollup/inner_variant.sql")
    (row,) = decoded_rows(query(sql, parameters, "JSON"))
    if not int(row["traces"]):
        return ""
    return (
        f": {row['traces']} traces of another variant hold calls of it; a mirrored answer needs a "
        "trace of its own, with the same tollway.pair.id as the one that it mirrors"
    )


def _check_stage(question: Question, evaluation: Evaluation) -> None:
    if question.stage in ("checkpoint", "mirror") and not evaluation.is_paired:
        raise UsageError(
            f"--stage {question.stage} compares two answers to the same inputs, and most of the "
            "candidate's traces have no partner: give both traces the same tollway.pair.id, or "
            "compare shared traffic with --stage canary"
        )


def _split_s(question: Question) -> int:
    if (question.by == "period") != (question.split is not None):
        raise UsageError("--by period, and only that, needs --split TIME")
    if question.split is None:
        return 0
    try:
        moment = datetime.fromisoformat(question.split)
    except ValueError as error:
        raise UsageError(f"--split {question.split}: give a time as YYYY-MM-DD[THH:MM]") from error
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())


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
        "dimension": evaluation.dimension,
        "is_paired": evaluation.is_paired,
        "observational": evaluation.is_observational,
        "multiplicity": evaluation.multiplicity,
        "cheaper_but_worse": verdict.cheaper_but_worse is not None,
        "traces_needed": verdict.traces_needed,
        "days_needed": evaluation.days_needed,
        "examples": [asdict(example) for example in report.examples],
        "signals": [
            {name: cell for name, cell in row.items() if name != "evaluated_at"}
            for row in signal_rows(evaluation, "")
        ],
    }
