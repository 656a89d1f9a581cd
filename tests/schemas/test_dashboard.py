"""The Grafana dashboard's SQL on the real schema, through the door, against figures by hand."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tollway_processor.door.client import DoorClient
from tollway_processor.store.embedded import EmbeddedStore

DASHBOARD = Path(__file__).parents[2] / "docker/grafana/dashboards/tollway.json"
DAY_START_S = (int(time.time()) // 86_400 - 1) * 86_400  # yesterday: within every retention


def dashboard() -> dict[str, Any]:
    return dict(json.loads(DASHBOARD.read_text()))


def expand(sql: str) -> str:
    """Do what Grafana and its ClickHouse plugin do to a panel's SQL before it is sent."""
    sql = re.sub(r"\$__conditionalAll\((.*?\)), \$route\)", r"\1", sql)
    sql = sql.replace("${route:sqlstring}", "'refunds','it''s'")
    start, end = f"toDateTime({DAY_START_S})", f"toDateTime({DAY_START_S + 86_400})"
    sql = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 >= {start} AND \1 <= {end}", sql)
    sql = re.sub(
        r"\$__timeInterval\((\w+)\)",
        r"toStartOfInterval(toDateTime(\1), INTERVAL 3600 second)",
        sql,
    )
    assert "$" not in sql, sql
    return sql


PANELS = {panel["title"]: panel for panel in dashboard()["panels"]}


def rows(reader: DoorClient, title: str) -> list[dict[str, Any]]:
    (target,) = PANELS[title]["targets"]
    answer = reader.query(expand(target["rawSql"]), format="JSON")
    return list(json.loads(answer)["data"])


TRACES = [
    ("a", "refunds", "easy", "teacher", 10, 100, 2, 0, 0.5, 0, {"json": 0}, {}, 1),
    ("a", "refunds", "easy", "teacher", 10, 200, 2, 0, 0.4, 0, {"json": 0}, {}, 2),
    ("b", "refunds", "easy", "teacher", 4000, 400, 1, 1, 0.2, 0, {"json": 0}, {}, 1),
    ("c", "refunds", "rare", "student", 4000, 50, 1, 0, 0.1, 1, {"json": 1}, {"call": 1}, 1),
    ("d", "faq", "", "student", 10, 50, 1, 0, 9, 0, {}, {}, 1),
    ("e", "refunds", "easy", "teacher", -10, 50, 1, 0, 9, 0, {"json": 0}, {}, 1),
]
SIGNALS = [
    (DAY_START_S + 1, "refunds", "rare", "json", "INCONCLUSIVE"),
    (DAY_START_S + 2, "refunds", "rare", "json", "REGRESSED"),
    (DAY_START_S + 2, "refunds", "rare", "cheaper_but_worse", "CHEAPER_BUT_WORSE"),
    (DAY_START_S + 2, "faq", "*", "cheaper_but_worse", "CHEAPER_BUT_WORSE"),
]
COLUMNS = {
    "traces": "trace_id route cohort variant started_at duration_ns calls errors cost_usd"
    " unpriced_calls score_fails outcomes rolled_up_at",
    "route_signals": "evaluated_at route cohort metric state",
    "route_verdicts": "evaluated_at route candidate verdict",
}


def insert(store: EmbeddedStore, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    columns = COLUMNS[table].split()
    lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in rows]
    store.insert_block(table, columns, "JSONEachRow", "\n".join(lines).encode())


@pytest.fixture(scope="module", autouse=True)
def _seeded(store: EmbeddedStore) -> None:
    """Two variants of one route, a trace of another, one told twice, one of the day before."""
    traces = [
        (*names, DAY_START_S + at_s, duration_ms * 1_000_000, *rest)
        for *names, at_s, duration_ms, rest in [(*row[:6], row[6:]) for row in TRACES]
    ]
    insert(store, "traces", traces)
    insert(store, "route_signals", SIGNALS)
    verdicts = [(DAY_START_S, "HOLD"), (DAY_START_S + 1, "ROLLBACK")]
    insert(store, "route_verdicts", [(at, "refunds", "student", said) for at, said in verdicts])


@pytest.mark.parametrize("title", PANELS)
def test_every_panel_has_rows(reader: DoorClient, title: str) -> None:
    assert rows(reader, title)


def test_variable_lists_the_routes(reader: DoorClient) -> None:
    (variable,) = dashboard()["templating"]["list"]
    assert variable["query"] == variable["definition"]
    assert reader.query(variable["query"], format="TSV") == b"faq\nrefunds\n"


@pytest.mark.parametrize(
    ("title", "value"),
    [
        ("Cheaper but worse", 1),
        ("Traces", 3),
        ("Unpriced calls", 1),
        ("Cost", 0.7),
        ("Mean cost of a trace", 0.7 / 3),
        ("Failed traces", 1 / 3),
    ],
)
def test_figures_count_each_trace_of_the_range_once(
    reader: DoorClient, title: str, value: float
) -> None:
    ((found,),) = (row.values() for row in rows(reader, title))
    assert found == pytest.approx(value)


def test_cost_and_latency_over_time(reader: DoorClient) -> None:
    assert [(r["series"], r["cost_usd"]) for r in rows(reader, "Cost by route and variant")] == [
        ("refunds / teacher", pytest.approx(0.4)),
        ("refunds / student", pytest.approx(0.1)),
        ("refunds / teacher", pytest.approx(0.2)),
    ]
    latencies = rows(reader, "Latency p95 by route and variant")
    assert [r["p95_ms"] for r in latencies] == [200, 50, 400]


def test_signals_and_verdicts_are_the_newest_and_worst_first(reader: DoorClient) -> None:
    assert [r["state"] for r in rows(reader, "Signals")] == ["CHEAPER_BUT_WORSE", "REGRESSED"]
    assert [r["verdict"] for r in rows(reader, "Verdicts")] == ["ROLLBACK"]


def test_tables_of_traces_and_scores(reader: DoorClient) -> None:
    assert [r["trace_id"] for r in rows(reader, "Dearest traces")] == ["a", "b", "c"]
    assert [
        (r["cohort"], r["fail_rate"]) for r in rows(reader, "Share of scored traces that failed")
    ] == [
        ("rare", 1),
        ("easy", 0),
    ]
    outcomes = [(r["cohort"], r["rate"]) for r in rows(reader, "Outcomes")]
    assert outcomes == [("rare", 1), ("easy", 0)]
    (easy, rare) = rows(reader, "Cost and latency by route, cohort and variant")
    assert (easy["traces"], easy["p50_ms"], rare["variant"]) == (2, 300, "student")


def test_panels_do_not_overlap_and_explain_themselves() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS.values():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells
        assert panel["description"].endswith(".")
        assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in PANELS.values()}) == len(dashboard()["panels"])
