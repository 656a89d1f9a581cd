"""An evaluation for people: a terminal table, Markdown for a pull request, one page of HTML."""

from __future__ import annotations

from html import escape

from rich.console import Group
from rich.table import Table
from rich.text import Text

from tollway_processor.signals.evaluate import Evaluation
from tollway_processor.signals.record import WHOLE_ROUTE
from tollway_processor.signals.statistics import Role, Signal, State, describe_values, format_harm

COLUMNS = ("metric", "cohort", "state", "baseline to candidate", "harm, at most", "allowed", "n")
_ORDER = {
    state: rank
    for rank, state in enumerate(
        (State.REGRESSED, State.INCONCLUSIVE, State.INSUFFICIENT, State.IMPROVED, State.HELD)
    )
}


def table(evaluation: Evaluation) -> Group:
    """Return the decision's sentence over a table of the signals, the worst first."""
    grid = Table(title=_title(evaluation), title_justify="left")
    for name in COLUMNS:
        grid.add_column(name)
    for cells in _rows(evaluation):
        grid.add_row(*cells)
    return Group(Text(evaluation.verdict.headline, style="bold"), grid)


def markdown(evaluation: Evaluation) -> str:
    """Return the same as Markdown."""
    lines = [f"**{evaluation.verdict.headline}**", "", _title(evaluation), ""]
    lines += ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    for cells in _rows(evaluation):
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def html(evaluation: Evaluation) -> str:
    """Return the same as one self-contained page."""
    head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        for cells in _rows(evaluation)
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(_title(evaluation))}</title>"
        "<style>body{font:16px system-ui;margin:1rem;max-width:70rem}"
        "table{border-collapse:collapse;display:block;overflow-x:auto}"
        "td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc}</style>"
        f"<h1>{escape(evaluation.verdict.headline)}</h1><p>{escape(_title(evaluation))}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></html>\n"
    )


def _title(evaluation: Evaluation) -> str:
    return f"Route {evaluation.route}: {evaluation.candidate} against {evaluation.baseline}"


def _rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    signals = [measured.signal for measured in evaluation.measured]
    signals.sort(key=lambda s: (_ORDER[s.state], s.role is not Role.GUARDRAIL, s.metric))
    return [_cells(signal) for signal in signals]


def _cells(signal: Signal) -> tuple[str, ...]:
    place = signal.cohort if signal.cohort is not None else WHOLE_ROUTE
    comparison = signal.comparison
    if comparison is None:
        return signal.metric, place, str(signal.state), "not measured on both sides", "", "", ""
    sizes = comparison.sizes
    return (
        signal.metric,
        place,
        str(signal.state),
        describe_values(comparison),
        ", ".join(format_harm(comparison, h) for h in (comparison.difference, comparison.upper)),
        format_harm(comparison, comparison.criteria.margin),
        f"{sizes.n_candidate:,.0f} against {sizes.n_baseline:,.0f}",
    )
