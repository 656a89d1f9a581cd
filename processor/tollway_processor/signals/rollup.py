"""The roll-up: touched traces to `traces`, their keys to `route_stats`; the work is SQL.

Nothing is incremented: a row is computed anew from deduplicated spans and scores, so repeated,
late and out-of-order arrivals, and a crash at any point, end in the same rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tollway_processor import schema_files
from tollway_processor.errors import RetryableError
from tollway_processor.store.client import Store

STEP_TRACES = 20_000  # touched traces a step: bounds the memory of one statement


class Rollup:
    """Brings `traces` and `route_stats` up to what is committed.

    `safe_ns` tells a stamp (ns, UTC) below which every commit is visible.
    """

    def __init__(self, store: Store, safe_ns: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._safe_ns = safe_ns
        self._step = STEP_TRACES
        self._traces_done = self._progress("traces")
        self._stats_done = self._progress("route_stats")

    def run(self) -> list[str]:
        """Recompute all that was touched since the last run; return the routes that changed."""
        while self._roll_traces():
            pass
        return self._roll_stats()

    def _roll_traces(self) -> bool:
        """Take one step over the touched traces; return whether more may be waiting."""
        after = self._traces_done
        until = self._until(after)
        if until <= after:
            return False
        stamps = {"after_ns": after, "until_ns": until, "rolled_up_at_ns": time.time_ns()}
        try:
            self._run("touched_routes", stamps)
            self._find_roles(stamps)
            self._run("traces", stamps)
            self._run("touched_routes", stamps)
        except RetryableError:
            # Most likely too much for the engine's memory at once: fewer traces next time.
            self._step = max(self._step // 4, 1)
            raise
        self._step = min(self._step * 2, STEP_TRACES)
        self._save("traces", until)
        self._traces_done = until
        return True

    def _find_roles(self, stamps: dict[str, int]) -> None:
        """Say of calls that are told twice which one is paid, and write that on the spans.

        Most steps hold no such call: planning a statement costs more than its work, so those that
        have nothing to do are left out.
        """
        self._run("nodes", stamps)
        self._run("answers", stamps)
        found = self._counts("findings", stamps)
        if found["apart"]:
            self._run("twins", stamps)
            self._run("nodes", stamps)
            found = self._counts("findings", stamps)
        if found["below"]:
            if found["backward"]:
                self._run("circles", stamps)
            self._run("paths", stamps)
        if found["below"] or found["shared"]:
            self._run("roles", stamps)
        may_be_stale = found["below"] or found["shared"] or found["rollups"]
        if may_be_stale and self._counts("stale_statuses", stamps)["calls"]:
            self._run("statuses", stamps)

    def _until(self, after: int) -> int:
        # The stamp told may itself be in flight, its rows visible but not priced yet.
        bounds = {"after_ns": after, "safe_ns": self._safe_ns() - 1, "limit": self._step}
        sql = schema_files.text("rollup/touched_until.sql")
        return int(str(self._store.rows(sql, bounds)[0]["until"]))

    def _roll_stats(self) -> list[str]:
        stamps = {"after_ns": self._stats_done, "until_ns": time.time_ns()}
        sql = schema_files.text("rollup/touched_route_names.sql")
        routes = [str(row["route"]) for row in self._store.rows(sql, stamps)]
        if routes:
            self._run("route_stats", {**stamps, "computed_at_ns": time.time_ns()})
            self._save("route_stats", stamps["until_ns"])
        self._stats_done = stamps["until_ns"]
        return routes

    def _run(self, name: str, parameters: dict[str, int]) -> None:
        self._store.command(schema_files.text(f"rollup/{name}.sql"), parameters)

    def _counts(self, name: str, parameters: dict[str, int]) -> dict[str, int]:
        (row,) = self._store.rows(schema_files.text(f"rollup/{name}.sql"), parameters)
        return {column: int(str(row[column])) for column in row if column != "tellings"}

    def _progress(self, stage: str) -> int:
        rows = self._store.rows(schema_files.text("rollup/progress.sql"), {"stage": stage})
        return max(int(str(rows[0]["watermark"])), 0)

    def _save(self, stage: str, watermark_ns: int) -> None:
        sql = schema_files.text("rollup/save_progress.sql")
        self._store.command(sql, {"stage": stage, "watermark_ns": watermark_ns})
