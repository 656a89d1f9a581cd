"""Recomputes traces and route statistics from spans and scores, day by day, through the roll-up.

Every trace of a day is touched as if a span of it had come; what the roll-up then does is what it
always does, so that a rebuild that was broken off is finished by the next roll-up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import NamedTuple

from tollway_processor import schema_files
from tollway_processor.errors import RetryableError
from tollway_processor.signals.rollup import STEP_TRACES, Rollup
from tollway_processor.store.client import Store

_ATTEMPTS = 8  # each with a quarter of the traces a step: from 20,000 down to one


class Rebuilt(NamedTuple):
    """A day that was recomputed, and the routes of its statistics."""

    day: date
    routes: list[str]


def rebuild(
    store: Store,
    first: date | None = None,
    last: date | None = None,
    *,
    now_ns: Callable[[], int] = time.time_ns,
) -> Iterator[Rebuilt]:
    """Recompute the traces with spans from `first` to `last` (UTC days, both included).

    Yields each day when it is done. Raises StoreError or RetryableError when the store fails.
    """
    rollup = Rollup(store, lambda: now_ns() + 1)
    rollup.run()
    for day in _days(store):
        if (first is None or day >= first) and (last is None or day <= last):
            yield Rebuilt(day, _rebuild_day(store, rollup, day, now_ns))


def _days(store: Store) -> list[date]:
    rows = store.rows(schema_files.text("rollup/days_of_spans.sql"))
    return [date.fromisoformat(str(row["day"])) for row in rows]


def _rebuild_day(store: Store, rollup: Rollup, day: date, now_ns: Callable[[], int]) -> list[str]:
    parameters = {"day": day.isoformat(), "first_ns": now_ns(), "limit": STEP_TRACES}
    _run(store, "rebuild_days", parameters, "day")
    _run(store, "rebuild_traces", parameters, "day", "first_ns", "limit")
    _run(store, "rebuild_routes", parameters, "day", "first_ns")
    for attempt in range(_ATTEMPTS):
        try:
            return rollup.run()
        except RetryableError:
            # The engine had no memory for so many at once; the roll-up now takes fewer.
            if attempt == _ATTEMPTS - 1:
                raise
    return []


def _run(store: Store, name: str, parameters: dict[str, object], *used: str) -> None:
    told = {key: parameters[key] for key in used}
    store.command(schema_files.text(f"rollup/{name}.sql"), told)
