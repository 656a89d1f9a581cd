"""The roll-up: touched traces to `traces`, their keys to `route_stats`; the work is SQL.

Nothing is incremented: a row is computed anew from deduplicated spans and scores, so repeated,
late and out-of-order arrivals, and a crash at any point, end in the same rows.
"""

from __future__ import annotations

from collections.abc import Callable

from tollway_processor import schema_files
from tollway_processor.errors import RetryableError
from tollway_processor.signals.latecomers import Latecomers
from tollway_processor.store.client import Store

DAY_S, HOUR_S = 86_400, 3600
STEP_TRACES = 20_000  # touched traces a step: bounds the memory of one statement


class Rollup:
    """Brings `traces` and `route_stats` up to what is committed.

    `safe_ns` tells a stamp (ns, UTC) below which every commit is visible. `touched` is how many
    traces the last run found touched.
    """

    def __init__(self, store: Store, safe_ns: Callable[[], int] | None = None) -> None:
        self._store = store
        self._safe_ns = safe_ns or store.now_ns
        self._step = STEP_TRACES
        self._traces_done = self._progress("traces")
        self._stats_done = self._progress("route_stats")
        self._late_traces = Latecomers(store, "recent_touched_traces")
        self._late_stats = Latecomers(store, "recent_touched_routes")
        self._version_ns = 0
        self.touched = 0

    def run(self) -> list[str]:
        """Recompute all that was touched since the last run; return the routes that changed."""
        self.touched = 0
        for stamps in self._late_traces.ranges(self._traces_done):
            self._roll_late(stamps)
        while self._roll_traces():
            pass
        return self._roll_stats()

    def _roll_late(self, stamps: list[int]) -> None:
        after = stamps[0] - 1
        while (until := self._until(after, stamps[-1])) > after:
            self._recompute(after, until)
            after = until
        self._late_traces.remember(stamps)

    def _roll_traces(self) -> bool:
        """Take one step over the touched traces; return whether more may be waiting."""
        after = self._traces_done
        # The stamp told may itself be in flight, its rows visible but not priced yet.
        until = self._until(after, self._safe_ns() - 1)
        if until <= after:
            return False
        stamps = self._late_traces.stamps(after, until)
        self._recompute(after, until)
        self._late_traces.remember(stamps)
        self._save("traces", until)
        self._traces_done = until
        return True

    def _recompute(self, after: int, until: int) -> None:
        stamps = {"after_ns": after, "until_ns": until, "rolled_up_at_ns": self._version()}
        try:
            self._roll_step(stamps)
        except RetryableError:
            # Most likely too much for the engine's memory at once: fewer traces next time.
            self._step = max(self._step // 4, 1)
            raise
        self._step = min(self._step * 2, STEP_TRACES)

    def _roll_step(self, stamps: dict[str, int]) -> None:
        """Recompute the traces touched after `after_ns` up to `until_ns`, as one step."""
        self._run("days", stamps)
        self._run("touched", stamps)
        found = self._find_nodes(stamps)
        self._find_roles(found, stamps)
        self._run("touched_routes", stamps)
        self._run("traces", stamps)
        if found["several"]:
            self._run("moved_traces", stamps)
        self._run("touched_routes", stamps)

    def _find_nodes(self, stamps: dict[str, int]) -> dict[str, int]:
        """Lay out the spans of the step, its twins' too; return what they call for."""
        self._run("nodes", stamps)
        self._run("answers", stamps)
        found = self._counts("findings", stamps)
        if found["apart"]:
            self._run("twins", stamps)
            self._run("nodes", stamps)
            found = self._counts("findings", stamps)
        return found

    def _find_roles(self, found: dict[str, int], stamps: dict[str, int]) -> None:
        """Say of calls that are told twice which one is paid, and write that on the spans.

        Most steps hold no such call: planning a statement costs more than its work, so those that
        have nothing to do are left out.
        """
        if found["below"]:
            if found["backward"]:
                self._run("circles", stamps)
            self._run("paths", stamps)
        if found["below"] or found["shared"]:
            self._run("roles", {**stamps, "shared": found["shared"]})
        may_be_stale = found["below"] or found["shared"] or found["rollups"]
        if may_be_stale and self._counts("stale_statuses", stamps)["calls"]:
            self._run("statuses", stamps)

    def _version(self) -> int:
        """Return a stamp above all earlier ones: of two rows of a trace the higher one counts.

        By the store's clock, so that no other process's clock decides which that is; asked after
        the touched traces were, so that the row with the higher one has seen as much.
        """
        if not self._version_ns:
            sql = schema_files.text("rollup/newest_version.sql")
            newest = int(str(self._store.rows(sql)[0]["version"]))
            self._version_ns = max(newest, self._stats_done)
        self._version_ns = max(self._store.now_ns(), self._version_ns + 1)
        return self._version_ns

    def _until(self, after: int, most: int) -> int:
        bounds = {"after_ns": after, "safe_ns": most, "limit": self._step}
        sql = schema_files.text("rollup/touched_until.sql")
        (found,) = self._store.rows(sql, bounds)
        self.touched += int(str(found["touched"]))
        return int(str(found["until"]))

    def _roll_stats(self) -> list[str]:
        until = self._version()
        late = [stamp for run in self._late_stats.ranges(self._stats_done) for stamp in run]
        after = min([self._stats_done, *(stamp - 1 for stamp in late)])
        known = self._late_stats.stamps(after, until)
        stamps = {"after_ns": after, "until_ns": until}
        sql = schema_files.text("rollup/touched_route_names.sql")
        routes = [str(row["route"]) for row in self._store.rows(sql, stamps)]
        if routes:
            stamps["computed_at_ns"] = until
            for row in self._store.rows(schema_files.text("rollup/touched_days.sql"), stamps):
                first_s = int(str(row["day_s"]))
                self._compute_stats(stamps, first_s, first_s + DAY_S)
            self._save("route_stats", until)
        self._late_stats.remember(known)
        self._stats_done = until
        return routes

    def _compute_stats(self, stamps: dict[str, int], first_s: int, last_s: int) -> None:
        """Recompute the touched keys of some hours; in halves where memory is short for all."""
        try:
            self._run("route_stats", {**stamps, "first_s": first_s, "last_s": last_s})
        except RetryableError:
            if last_s - first_s <= HOUR_S:
                raise
            middle_s = (first_s + last_s) // 2 // HOUR_S * HOUR_S
            self._compute_stats(stamps, first_s, middle_s)
            self._compute_stats(stamps, middle_s, last_s)

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
