"""Reads arms (sufficient statistics) and earlier verdicts from a store, for evaluate.py."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from tollway_processor import schema_files
from tollway_processor.signals.evaluate import RouteArms
from tollway_processor.signals.statistics import Arm
from tollway_processor.store.client import Parameters

# Runs a SELECT and returns its result in the format asked for: a store's, or the SQL door's.
Query = Callable[[str, Parameters], list[dict[str, Any]]]


def decoded_rows(result: bytes) -> list[dict[str, Any]]:
    """Return the rows of a result in ClickHouse's format JSON."""
    return list(json.loads(result)["data"]) if result else []


def read_arms(query: Query, routes: Sequence[str], since_s: int) -> dict[str, RouteArms]:
    """Return the arms of each route since a time (s since 1970, UTC)."""
    parameters: Parameters = {"routes": list(routes), "since_s": max(since_s, 0)}
    by_route: dict[str, dict[tuple[str, str, str], Arm]] = defaultdict(dict)
    for row in query(schema_files.text("rollup/arms.sql"), parameters):
        key = (row["cohort"], row["variant"], row["metric"])
        by_route[row["route"]][key] = Arm(
            n=int(row["n"]),
            total=float(row["total"]),
            total_sq=float(row["total_sq"]),
            clusters=int(row["clusters"]),
            cluster_total_sq=float(row["cluster_total_sq"]),
            cluster_cross=float(row["cluster_cross"]),
            cluster_size_sq=float(row["cluster_size_sq"]),
        )
    return dict(by_route)


def read_rolled_back(
    query: Query, routes: Sequence[str], since_s: int
) -> set[tuple[str, str, str]]:
    """Return (route, baseline, candidate) of every ROLLBACK since a time: it stays one."""
    parameters: Parameters = {"routes": list(routes), "since_s": max(since_s, 0)}
    rows = query(schema_files.text("rollup/rolled_back.sql"), parameters)
    return {(row["route"], row["baseline"], row["candidate"]) for row in rows}
