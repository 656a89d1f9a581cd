"""The report on a terminal: the decision's sentence over a table of the signals."""

from __future__ import annotations

from rich.console import ConsoleRenderable, Group
from rich.table import Table
from rich.text import Text

from tollway_processor.signals.report.document import COLUMNS, UNLABELLED, Report, cells
from tollway_processor.signals.statistics import State, shown

MOST_LINES = 100  # a terminal's scrollback is no place for thousands
STYLES = {
    State.REGRESSED: "bold red",
    State.IMPROVED: "green",
    State.HELD: "green",
    State.INCONCLUSIVE: "yellow",
    State.INSUFFICIENT: "dim",
}


def table(report: Report) -> Group:
    """Return the decision's sentence over a table of the signals, the worst first."""
    grid = Table(title=report.title, title_justify="left")
    for name in COLUMNS:
        grid.add_column(name, overflow="fold")
    signals = report.signals
    for signal in signals[:MOST_LINES]:
        line = cells(signal)
        state = Text(line[2], style=STYLES[signal.state])
        grid.add_row(*line[:2], state, *line[3:])
    parts: list[ConsoleRenderable] = [Text(report.evaluation.verdict.headline, style="bold"), grid]
    if len(signals) > MOST_LINES:
        parts.append(Text(f"{len(signals) - MOST_LINES:,} more signals: --format html or json"))
    for example in report.examples:
        where = f"{shown(example.cohort) or UNLABELLED}, {shown(example.metric)}"
        parts.append(Text(f"{where}: trace {example.trace_id}"))
    return Group(*parts)
