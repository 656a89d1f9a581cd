"""`tollway costs` and `tollway routes`: documented questions as tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from tollway_processor.commands.reader import ask, reader, since_s
from tollway_processor.config import Config

STATE_STYLES = {
    "CHEAPER_BUT_WORSE": "bold white on red",
    "REGRESSED": "bold red",
    "ROLLBACK": "bold red",
    "IMPROVED": "green",
    "HELD": "green",
    "PROMOTE": "green",
}
_PLAIN_WIDTH = 160


def console() -> Console:
    """Return stdout as a console: plain text and wide when it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH)


def run_costs(config: Config, route: str, since: str | None, limit: int, format: str) -> int:
    """Show the cost by route and variant, and the dearest traces."""
    parameters = {"since_s": since_s(since), "route": route}
    with reader(config) as source:
        by_route = ask(source, "cost_by_route", parameters)
        dearest = ask(source, "dearest_traces", {**parameters, "limit": limit})
    if format == "json":
        return _print_json({"cost_by_route": by_route, "dearest_traces": dearest})
    out = console()
    out.print(_table("Cost by route and variant (USD)", by_route))
    out.print(_table("Dearest traces (USD)", dearest))
    return 0


def run_routes(config: Config, route: str, since: str | None, format: str) -> int:
    """Show the statistics of each route, cohort and variant."""
    with reader(config) as source:
        found = ask(source, "route_statistics", {"since_s": since_s(since), "route": route})
    if format == "json":
        return _print_json(found)
    hidden = [{k: v for k, v in row.items() if k != "latency_ms"} for row in found]
    console().print(_table("Routes", hidden))
    return 0


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    names = list(rows[0]) if rows else ["nothing yet"]
    for name in names:
        is_number = bool(rows) and _is_number(rows[0][name])
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(name, row[name]) for name in names))
    return table


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return value.replace(".", "", 1).isdigit()
    return isinstance(value, (int, float))


def _cell(name: str, value: object) -> str:
    if value is None:
        return "unknown"
    if name.endswith("_usd"):
        return f"{Decimal(str(value)):.6f}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _print_json(document: object) -> int:
    print(json.dumps(document, indent=1))
    return 0
