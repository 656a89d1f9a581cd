"""Recompute the cost of stored spans with the current prices, a day at a time.

The arithmetic is that of ingest (schemas/ingest/price_*.sql), and runs where the rates are: in the
embedded store, or in this process for a server's spans, which come here and go back in parts. A run
that was cut off goes on where it stopped; traces and statistics follow through the roll-up, which
is told what was touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import date

from tollway_processor import schema_files
from tollway_processor.errors import StoreError
from tollway_processor.pricing import layers, table
from tollway_processor.pricing.current import CurrentPrices, Priced
from tollway_processor.pricing.lookup import names_of
from tollway_processor.pricing.row import FIRST_DAY
from tollway_processor.store.client import Row, Store
from tollway_processor.store.embedded import EmbeddedStore

Stamp = Callable[[], AbstractContextManager[int]]  # lends an ingestion stamp, see ingest/stamps.py
_COLUMNS = (
    "run, day, trace_id, span_id, model, old_cost_usd, new_cost_usd, new_status, new_told_status, "
    "new_price_id, new_priced_as"
)
PART_SPANS = 200_000  # of a server's day at once: some 50 MB here


@dataclass(frozen=True)
class Scope:
    """Which spans: days (both included) and a model as told or as priced, empty for all."""

    first: date
    last: date
    model: str = ""


@dataclass(frozen=True)
class Progress:
    """One day done: which of how many, the spans looked at and those that changed."""

    day: str
    number: int
    days: int
    spans: int
    changed: int
    is_resumed: bool


class Repricer:
    """Reprices one store. `stamp` must be the committing process's own, so that none is missed."""

    def __init__(
        self,
        store: Store,
        prices: CurrentPrices,
        stamp: Stamp,
        *,
        part_spans: int = PART_SPANS,
    ) -> None:
        if not isinstance(store, Priced):
            raise StoreError("tollway reprice needs a store that prices calls")
        self._store: Store = store
        self._codec = store.codec
        self._part_spans = part_spans
        self._stamp = stamp
        self._prices = prices

    def run(self, scope: Scope) -> Iterator[Progress | list[Row]]:
        """Yield the progress after each day, at last the report by model.

        May be left at any point: what is done stays done, and the next run goes on from there.
        """
        self._prices.refresh()
        run = self._run_id(scope)
        done = {str(row["day"]) for row in self._rows("done", {"run": run})}
        asked: dict[str, object] = {
            "from_day": scope.first,
            "to_day": scope.last,
            "model": scope.model,
        }
        days = self._rows("days", asked)
        for number, row in enumerate(days, 1):
            day, is_done, spans = str(row["day"]), str(row["day"]) in done, int(str(row["spans"]))
            changed = 0 if is_done else self._day(run, day, scope.model, spans)
            yield Progress(day, number, len(days), spans, changed, is_done)
        report = self._rows("report", {"run": run})
        self._note(run, FIRST_DAY.isoformat())
        yield report

    def _day(self, run: str, day: str, model: str, spans: int) -> int:
        names = names_of(self._rows("names", {"day": day}))
        self._codec.prices.learn(names)
        asked: dict[str, object] = {"run": run, "day": day, "model": model}
        # Noted first: spans that were written before a crash are no longer found as changed.
        if isinstance(self._store, EmbeddedStore):
            sql = f"INSERT INTO repriced ({_COLUMNS}) {_changes(_priced_spans())}"
            self._store.command(sql, {**asked, "part": 0, "parts": 1})
        else:
            self._note_changes_of_server(asked, parts=spans // self._part_spans + 1)
        count = (
            "SELECT count() AS n FROM repriced FINAL WHERE run = {run:String} AND day = {day:Date}"
        )
        changed = int(str(self._store.rows(count, asked)[0]["n"]))
        if changed:
            with self._stamp() as stamp_ns:
                self._command("touch", {**asked, "stamp_ns": stamp_ns})
                self._command("write", asked)
        self._note(run, day)
        return changed

    def _note_changes_of_server(self, asked: dict[str, object], parts: int) -> None:
        columns = [name.strip() for name in _COLUMNS.split(",")]
        changes = _changes("SELECT * FROM file({path:String}, 'Native')")
        for part in range(parts):
            spans = self._store.query(
                _priced_spans(), {**asked, "part": part, "parts": parts}, format="Native"
            )
            if spans:
                changed = self._codec.compute(changes, asked, spans)
                self._store.insert_block("repriced", columns, "Native", changed)

    def _run_id(self, scope: Scope) -> str:
        rows = sorted(str(asdict(row)) for row in table.read(self._store))
        told = f"{scope} {rows} {sorted(table.read_models(self._store).items())}"
        run = hashlib.sha256(told.encode()).hexdigest()[:16]
        return f"{run}:{self._rows('finished', {'run': run})[0]['n']}"

    def _note(self, run: str, day: str) -> None:
        sql = "INSERT INTO reprice_days (run, day) SELECT {run:String}, {day:Date}"
        self._store.command(sql, {"run": run, "day": day})

    def _rows(self, name: str, parameters: dict[str, object]) -> list[Row]:
        return self._store.rows(schema_files.text(f"reprice/{name}.sql"), parameters)

    def _command(self, name: str, parameters: dict[str, object]) -> None:
        self._store.command(schema_files.text(f"reprice/{name}.sql"), parameters)


def _priced_spans() -> str:
    return schema_files.text("reprice/priced_spans.sql")


def _changes(source: str) -> str:
    """The rows of `repriced`, of what `source` selects."""
    sql = layers.expand(schema_files.text("reprice/changes.sql"))
    return sql.replace("@priced_spans", source)
