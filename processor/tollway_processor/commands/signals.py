"""`tollway signals`: what got cheaper, what got worse, where, how sure; one block a candidate."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tollway_processor.commands.reader import Reader, ask, reader
from tollway_processor.commands.tables import STATE_STYLES, console
from tollway_processor.config import Config
from tollway_processor.errors import TollwayError, UsageError
from tollway_processor.signals.sides import WHOLE_ROUTE
from tollway_processor.signals.statistics import shown

Row = Mapping[str, Any]
REFRESH_S = 2.0
_MOST_LINES = 8  # of one kind in a block; the rest is counted
_WINS = ("cost", "latency", "ttft")


def run_signals(config: Config, route: str, show_all: bool, format: str, watch: bool) -> int:
    """Show how each candidate stands; with `watch` again and again until Ctrl-C.

    Raises UsageError when there is no terminal to watch on.
    """
    if watch and not sys.stdout.isatty():
        raise UsageError("--watch needs a terminal; without one, call it again and again")
    with reader(config) as source:
        if format == "json":
            found = ask(source, "latest_signals", {"route": route})
            sys.stdout.write(json.dumps(found, indent=1) + "\n")
        elif watch:
            _watch(source, route, show_all)
        else:
            console().print(overview(source, route, show_all))
    return 0


def _watch(source: Reader, route: str, show_all: bool) -> None:
    shown = overview(source, route, show_all)
    with suppress(KeyboardInterrupt), Live(shown, console=console(), screen=True) as live:
        while True:
            time.sleep(REFRESH_S)
            try:
                shown = overview(source, route, show_all)
            except TollwayError as error:  # it may come back
                live.update(Group(shown, Text(f"\nnot refreshed: {error}", "bold red")))
                continue
            live.update(shown)


def overview(source: Reader, route: str, show_all: bool) -> RenderableType:
    """Return a block for each candidate, the worst first: verdict, losses, gains, what is open."""
    signals = ask(source, "latest_signals", {"route": route})
    verdicts = ask(source, "latest_verdicts", {"route": route})
    if not verdicts:
        where = f"route {route}" if route else "any route"
        return Text(f"Nothing to compare yet: no two variants on {where}.")
    blocks: list[RenderableType] = []
    for verdict in verdicts:
        mine = [row for row in signals if _candidate(row) == _candidate(verdict)]
        blocks += [_heading(verdict), _block(mine, show_all), Text()]
    return Group(*blocks[:-1])


def _candidate(row: Row) -> tuple[str, str, str]:
    return row["route"], row["baseline"], row["candidate"]


def _heading(verdict: Row) -> Text:
    text = Text(
        f"{shown(verdict['route'])}: {shown(verdict['candidate'])} against "
        f"{shown(verdict['baseline'])}  ",
        "bold",
    )
    text.append(f" {verdict['verdict']} ", STATE_STYLES.get(verdict["verdict"], "bold yellow"))
    if verdict["cheaper_but_worse"]:
        text.append("  ").append(" CHEAPER_BUT_WORSE ", STATE_STYLES["CHEAPER_BUT_WORSE"])
    return text.append(f"\n{verdict['reason']}", "not bold")


def _block(rows: Sequence[Row], show_all: bool) -> Table:
    grid = Table.grid(padding=(0, 2))
    for name in ("word", "metric", "where", "figures"):
        grid.add_column(name, overflow="fold", no_wrap=name == "word")
    for word, style, found in _groups(rows, show_all):
        for row in found if show_all else found[:_MOST_LINES]:
            cells = shown(row["metric"]), _place(row), figures(row)
            grid.add_row(Text(f"  {word}", style), *(Text(cell) for cell in cells))
        if len(found) > _MOST_LINES and not show_all:
            grid.add_row(
                Text(f"  {word}", style), f"{len(found) - _MOST_LINES} more: --all", "", ""
            )
    for line in _counts(rows):
        grid.add_row(*line)
    return grid


def _place(row: Row) -> str:
    if row["cohort"] == WHOLE_ROUTE:
        return "whole route"
    return shown(row["cohort"]) or "(unlabelled)"


def _groups(rows: Sequence[Row], show_all: bool) -> Iterator[tuple[str, str, list[Row]]]:
    """Yield what a reader must see: (word, style, rows), the worst first."""
    improved = [row for row in rows if row["state"] == "IMPROVED"]
    if not show_all:
        improved = [row for row in improved if row["cohort"] == WHOLE_ROUTE]
    wins = [row for row in improved if any(win in row["metric"] for win in _WINS)]
    yield "worse", "bold red", [row for row in rows if row["state"] == "REGRESSED"]
    yield "cheaper", "green", [row for row in wins if "cost" in row["metric"]]
    yield "faster", "green", [row for row in wins if "cost" not in row["metric"]]
    yield "better", "green", [row for row in improved if row not in wins]
    if show_all:
        yield "held", "green", [row for row in rows if row["state"] == "HELD"]
        yield "open", "yellow", [row for row in rows if row["state"] == "INCONCLUSIVE"]
        yield "no data", "dim", [row for row in rows if row["state"] == "INSUFFICIENT"]


def _counts(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """Yield the guardrails' tally, and what the open ones wait for."""
    guardrails = [row for row in rows if row["guardrail"]]
    settled = [row for row in guardrails if row["state"] in ("HELD", "IMPROVED")]
    waiting = [row for row in guardrails if row["state"] in ("INCONCLUSIVE", "INSUFFICIENT")]
    yield "  held", f"{len(settled)} of {len(guardrails)} guardrails", "", ""
    if waiting:
        needs = [row["traces_needed"] for row in waiting]
        known = [int(need) for need in needs if need is not None]
        need = f"about {max(known):,} more candidate traces" if len(known) == len(needs) else ""
        yield "  open", f"{len(waiting)} guardrails", "", need or "no number of traces foreseeable"


def figures(row: Row) -> str:
    """Return a signal's values, its harm and how sure it is, in the metric's unit."""
    if not row["candidate_n"] or not row["baseline_n"]:
        return "not measured on both sides"
    sizes = f"{int(row['candidate_n']):,} against {int(row['baseline_n']):,} traces"
    if row["state"] == "INSUFFICIENT":
        return sizes
    values = (
        ""
        if row["kind"] == "log_mean"
        else f"{_value(row, 'baseline_value')} to {_value(row, 'candidate_value')}, "
    )
    low, high = harm(row, "lower"), harm(row, "upper")
    surety = {
        "REGRESSED": f"{harm(row, 'harm')}, at least {low}",
        "IMPROVED": f"{harm(row, 'harm')}, at most {high}",
        "HELD": f"at most {high} (allowed {harm(row, 'margin')})",
    }.get(row["state"], f"between {low} and {high} (allowed {harm(row, 'margin')})")
    return f"{values}{surety}; {sizes}"


def harm(row: Row, name: str) -> str:
    """Return a harm in words: points of a rate, percent of a ratio, else the number."""
    value = float(row[name])
    if abs(value) > 1e299:
        return "any amount"
    if row["kind"] == "rate":
        return f"{100 * value:+.1f} points"
    if row["kind"] == "log_mean":
        return f"{100 * math.expm1(min(value, 700.0)):+.1f} %"
    return f"{value:+.3g} {row['unit']}".strip()


def _value(row: Row, name: str) -> str:
    value = float(row[name])
    return f"{100 * value:.1f} %" if row["kind"] == "rate" else f"{value:.4g}"
