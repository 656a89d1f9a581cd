"""The questions that the demo asks of the tables: SQL as a user would type it, and its rows.

The demo prints these texts, so they carry no parameters. How answers look is report.py's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

Row = dict[str, Any]
Query = Callable[[str], bytes]
"""Runs one SELECT and returns its result in ClickHouse's format JSON."""

TRACES: Final = """\
SELECT trace_id, route, cohort, variant, started_at, calls, tool_calls, input_tokens,
       output_tokens, cache_read_tokens, cost_usd, unpriced_calls, cost_gap_usd,
       duration_ns / 1e6 AS duration_ms
FROM traces FINAL
ORDER BY cost_usd DESC, trace_id"""

COSTS: Final = """\
SELECT route, variant, count() AS traces, sum(calls) AS calls, sum(unpriced_calls) AS unpriced,
       sum(cost_usd) AS total_cost_usd, total_cost_usd / traces AS mean_cost_usd
FROM trace_costs
GROUP BY route, variant
ORDER BY route, variant DESC"""

ROUTE_STATS: Final = """\
SELECT route, cohort, variant, sum(traces) AS traces, sum(calls) AS calls, sum(errors) AS errors,
       sum(cost_usd) / traces AS mean_cost_usd,
       quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(latency_sketch) AS latency_ms
FROM route_stats FINAL
GROUP BY route, cohort, variant
HAVING traces > 0
ORDER BY route, cohort, variant DESC"""

FAIL_RATES: Final = """\
SELECT route, if(cohort = '', 'all', cohort) AS slice, variant, score,
       sum(traces) AS scored, sum(fails) AS failed, failed / scored AS fail_rate
FROM eval_fail_rate_by_cohort
GROUP BY GROUPING SETS ((route, cohort, variant, score), (route, variant, score))
ORDER BY route, score, slice != 'all', slice, variant DESC"""

OUTCOME_RATES: Final = """\
SELECT route, if(cohort = '', 'all', cohort) AS slice, variant, outcome,
       sum(traces) AS of_traces, sum(times) AS happened, happened / of_traces AS rate
FROM outcome_rate_by_cohort
GROUP BY GROUPING SETS ((route, cohort, variant, outcome), (route, variant, outcome))
ORDER BY route, outcome, slice != 'all', slice, variant DESC"""

SIGNALS: Final = """\
SELECT * FROM latest_route_signals
ORDER BY state = 'CHEAPER_BUT_WORSE' DESC, state = 'REGRESSED' DESC, route, cohort, metric"""

VERDICTS: Final = """\
SELECT * FROM latest_route_verdicts ORDER BY route, candidate"""

QUESTIONS: Final[Mapping[str, str]] = {
    "traces": TRACES,
    "costs": COSTS,
    "route_stats": ROUTE_STATS,
    "fail_rates": FAIL_RATES,
    "outcome_rates": OUTCOME_RATES,
    "signals": SIGNALS,
    "verdicts": VERDICTS,
}

STORED: Final = """\
SELECT (SELECT count() FROM traces FINAL) AS traces,
       (SELECT sum(calls) FROM traces FINAL) AS calls,
       (SELECT count() FROM scores FINAL WHERE kind = 'score') AS scores,
       (SELECT count() FROM scores FINAL WHERE kind = 'outcome') AS outcomes,
       (SELECT count() FROM spans FINAL) AS spans"""


def ask_all(query: Query) -> dict[str, list[Row]]:
    """Return the rows of every question, by its name."""
    return {name: ask(query, sql) for name, sql in QUESTIONS.items()}


def ask(query: Query, sql: str) -> list[Row]:
    """Return a SELECT's rows, fit for JSON: Decimals as plain text, integers as int."""
    document = json.loads(query(sql), parse_float=Decimal)
    readers = {column["name"]: _reader(column["type"]) for column in document["meta"]}
    return [
        {name: None if value is None else readers[name](value) for name, value in row.items()}
        for row in document["data"]
    ]


def _reader(column_type: str) -> Callable[[Any], Any]:
    inner = column_type.removeprefix("LowCardinality(").removeprefix("Nullable(")
    if inner.startswith("Decimal"):
        return _plain
    if inner.startswith("Float"):
        return float
    if inner.startswith("Array(Float"):
        return lambda values: [float(value) for value in values]
    if inner.startswith(("UInt", "Int")):
        return int
    return lambda value: value


def _plain(value: Any) -> str:
    return format(Decimal(value).normalize(), "f")
