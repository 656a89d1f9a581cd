"""Alerts in the store: which were raised, and which receiver still has to be told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from tollway_processor.signals.alerts.changes import Alert, Key, Told, find_changes
from tollway_processor.signals.arms import store_query
from tollway_processor.signals.evaluate import Evaluation
from tollway_processor.signals.report.facts import worst_traces
from tollway_processor.store.client import Store

_COLUMNS = (
    "alert_id, route, cohort, baseline, candidate, metric, state, previous, reason, examples, "
    "toString(raised_at) AS raised_at"
)


class Outbox:
    """The tables `alerts` and `alert_deliveries`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._query = store_query(store.query)

    def raise_alerts(self, evaluations: Iterable[Evaluation], since_s: int) -> list[Alert]:
        """Write what the evaluations change, with example traces since a time; return it.

        Called once for each round of evaluations: what is in the table is not raised again.
        """
        evaluations = list(evaluations)
        told = self._told(sorted({evaluation.route for evaluation in evaluations}))
        raised = []
        for evaluation in evaluations:
            for change in find_changes(evaluation, told):
                found = (
                    worst_traces(self._query, evaluation, change.signal, since_s)
                    if change.signal is not None
                    else []
                )
                alert = asdict(change.alert) | {
                    "examples": tuple(example.trace_id for example in found),
                    "raised_at": _now(),
                }
                raised.append(Alert(**alert))
        self._insert("alerts", [asdict(alert) for alert in raised])
        return raised

    def waiting(self, receiver: str, since_s: int) -> list[Alert]:
        """Return the alerts since a time (s since 1970, UTC) that a receiver was not told of."""
        rows = self._store.rows(
            f"SELECT {_COLUMNS} FROM alerts FINAL WHERE alert_id NOT IN "
            "(SELECT alert_id FROM alert_deliveries WHERE receiver = {receiver:String}) "
            "AND alerts.raised_at >= toDateTime({since_s:UInt32}, 'UTC') "
            "ORDER BY alerts.raised_at, alert_id",
            {"receiver": receiver, "since_s": max(since_s, 0)},
        )
        return [_alert(row) for row in rows]

    def finish(
        self, alert_id: str, receiver: str, outcome: str, attempts: int, error: str = ""
    ) -> None:
        """Remember that a receiver was told (delivered), or that it could not be (given_up)."""
        row = {
            "alert_id": alert_id, "receiver": receiver, "finished_at": _now(),
            "outcome": outcome, "attempts": attempts, "error": error,
        }  # fmt: skip
        self._insert("alert_deliveries", [row])

    def _told(self, routes: Sequence[str]) -> dict[Key, Told]:
        rows = self._store.rows(
            "SELECT route, cohort, baseline, candidate, metric, "
            "argMax(alert_id, raised_at) AS last_id, argMax(state, raised_at) AS last_state "
            "FROM alerts WHERE route IN {routes:Array(String)} "
            "GROUP BY route, cohort, baseline, candidate, metric",
            {"routes": list(routes)},
        )
        return {
            (
                str(row["route"]),
                str(row["cohort"]),
                str(row["baseline"]),
                str(row["candidate"]),
                str(row["metric"]),
            ): Told(str(row["last_id"]), str(row["last_state"]))
            for row in rows
        }

    def _insert(self, table: str, rows: Sequence[dict[str, object]]) -> None:
        if rows:
            lines = "\n".join(json.dumps(row) for row in rows)
            self._store.insert_block(table, list(rows[0]), "JSONEachRow", lines.encode())


def _alert(row: dict[str, object]) -> Alert:
    examples = row["examples"]
    return Alert(**{**row, "examples": tuple(examples if isinstance(examples, list) else ())})  # type: ignore[arg-type]  # the columns of alerts are the fields of Alert, all text


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
