"""How the demo's findings are shown: rich tables on a terminal, the same in plain text elsewhere.

Shows what questions.py found; asks and computes nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from tollway_processor.demo.questions import QUESTIONS, Row
from tollway_processor.demo.signal_values import signal_values

TOP_TRACES: Final = 5
WHOLE_ROUTE: Final = "*"
GAINS: Final = frozenset({"cost_usd", "latency_ms"})
ALARM: Final = "CHEAPER_BUT_WORSE"
STYLES: Final[Mapping[str, str]] = {
    ALARM: "bold white on red",
    "REGRESSED": "bold red",
    "ROLLBACK": "bold red",
    "IMPROVED": "green",
    "HELD": "green",
    "PROMOTE": "green",
}


def show(console: Console, findings: Mapping[str, Sequence[Row]], store: str) -> None:
    """Print all findings, each with the SQL that sees it, and where the data is kept."""
    parts: Iterable[tuple[RenderableType, Sequence[str]]] = (
        (_traces(findings["traces"]), [f"{QUESTIONS['traces']}\nLIMIT {TOP_TRACES}"]),
        (_costs(findings["costs"]), [QUESTIONS["costs"]]),
        (_route_stats(findings["route_stats"]), [QUESTIONS["route_stats"]]),
        (_rates(findings), [QUESTIONS["fail_rates"], QUESTIONS["outcome_rates"]]),
        (_signals(findings["signals"]), [QUESTIONS["signals"]]),
        (_verdicts(findings["verdicts"]), [QUESTIONS["verdicts"]]),
    )
    for table, questions in parts:
        console.print(Group("", table, *map(_sql, questions)))
    console.print(_alarm(findings))
    console.print(
        f"""
The data is kept in {store}. Ask it anything:
  tollway sql --store {store} "SELECT * FROM trace_costs LIMIT 5"
  tollway signals --store {store}""",
        markup=False,
        soft_wrap=True,
    )


def _traces(rows: Sequence[Row]) -> Table:
    table = _table(f"Cost per trace: the {TOP_TRACES} dearest of {len(rows)}")
    _columns(table, "trace", "route", "cohort", "variant", "calls>", "tokens in>", "out>", "cost>")
    for row in rows[:TOP_TRACES]:
        table.add_row(
            row["trace_id"],
            row["route"],
            row["cohort"],
            row["variant"],
            str(row["calls"]),
            f"{row['input_tokens']:,}",
            f"{row['output_tokens']:,}",
            _usd(row["cost_usd"]),
        )
    return table


def _costs(rows: Sequence[Row]) -> Table:
    table = _table("Cost per route and variant")
    _columns(table, "route", "variant", "traces>", "calls>", "cost>", "a trace>")
    for row in rows:
        table.add_row(
            row["route"],
            row["variant"],
            f"{row['traces']:,}",
            f"{row['calls']:,}",
            _usd(row["total_cost_usd"]),
            _usd(row["mean_cost_usd"]),
        )
    return table


def _route_stats(rows: Sequence[Row]) -> Table:
    table = _table("Route statistics")
    _columns(table, "route", "cohort", "variant", "traces>", "calls>", "errors>", "a trace>")
    _columns(table, "p50 ms>", "p95 ms>", "p99 ms>")
    for row in rows:
        table.add_row(
            row["route"],
            row["cohort"],
            row["variant"],
            f"{row['traces']:,}",
            f"{row['calls']:,}",
            f"{row['errors']:,}",
            _usd(row["mean_cost_usd"]),
            *(f"{value:,.0f}" for value in row["latency_ms"]),
        )
    return table


def _rates(findings: Mapping[str, Sequence[Row]]) -> Table:
    """Show fail and outcome rates, variants side by side: the averages look fine."""
    shares: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in findings["fail_rates"]:
        key = (row["route"], f"{row['score']} fails", row["slice"])
        shares.setdefault(key, {})[row["variant"]] = row["fail_rate"]
    for row in findings["outcome_rates"]:
        key = (row["route"], row["outcome"], row["slice"])
        shares.setdefault(key, {})[row["variant"]] = row["rate"]
    table = _table("Quality: share of traces, baseline and candidate")
    _columns(table, "route", "what", "cohort", "teacher>", "student>")
    for (route, what, cohort), by_variant in shares.items():
        values = [by_variant.get(variant, 0.0) for variant in ("teacher", "student")]
        is_average = cohort == "all"
        is_worse = values[1] - values[0] > 0.1
        style = "bold red" if is_worse else "bold" if is_average else ""
        table.add_row(route, what, cohort, *(f"{value:.1%}" for value in values), style=style)
    return table


def _signals(rows: Sequence[Row]) -> Table:
    """Show what regressed, and beside it how the whole routes look on the same metrics."""
    lost = {row["metric"] for row in rows if row["state"] == "REGRESSED"}
    shown = [
        row
        for row in rows
        if row["state"] in (ALARM, "REGRESSED")
        or (row["cohort"] == WHOLE_ROUTE and row["metric"] in lost | GAINS)
    ]
    table = _table(f"Signals: student against teacher ({len(shown)} of {len(rows)} shown)")
    _columns(table, "route", "cohort", "metric", "state", "teacher>", "student>", "harm>")
    _columns(table, "interval>")
    for row in shown:
        table.add_row(
            row["route"],
            "whole route" if row["cohort"] == WHOLE_ROUTE else row["cohort"],
            row["metric"],
            Text(row["state"], style=STYLES.get(row["state"], "")),
            *signal_values(row),
        )
    return table


def _verdicts(rows: Sequence[Row]) -> Table:
    table = _table("Verdicts")
    _columns(table, "route", "baseline", "candidate", "verdict", "why")
    for row in rows:
        verdict = Text(row["verdict"], style=STYLES.get(row["verdict"], ""))
        table.add_row(row["route"], row["baseline"], row["candidate"], verdict, row["reason"])
    return table


def _alarm(findings: Mapping[str, Sequence[Row]]) -> RenderableType:
    """Say in one box what the demo is about."""
    alarms = [row for row in findings["signals"] if row["state"] == ALARM]
    if not alarms:
        return Panel("No CHEAPER_BUT_WORSE signal: too few traces for an honest interval.")
    lines = [
        f"{row['route']} / {row['cohort']} / {row['candidate']}: {row['reason']}" for row in alarms
    ]
    return Panel("\n".join(lines), title=Text(ALARM, style=STYLES[ALARM]), border_style="red")


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", header_style="dim")


def _columns(table: Table, *names: str) -> None:
    for name in names:
        is_number = name.endswith(">")
        table.add_column(name.removesuffix(">"), justify="right" if is_number else "left")


def _sql(sql: str) -> RenderableType:
    return Syntax(sql, "sql", background_color="default", word_wrap=True)


def _usd(amount: str | None) -> str:
    return "unknown" if amount is None else f"${Decimal(amount):,.6f}"
