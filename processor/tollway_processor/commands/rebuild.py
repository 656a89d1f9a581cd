"""`tollway rebuild`: traces, route statistics and signals anew, from spans and scores."""

from __future__ import annotations

import sys
import time
from datetime import date

from tollway_processor.config import Config
from tollway_processor.errors import UsageError
from tollway_processor.signals.evaluator import Evaluator
from tollway_processor.signals.rebuild import rebuild
from tollway_processor.store.opening import open_store


def run_rebuild(config: Config, first: str | None, last: str | None) -> int:
    """Recompute what is computed; progress goes to stderr.

    Raises UsageError for a day that is none, StoreHeldError while a processor holds the store.
    """
    from_day, to_day = _day("--from", first), _day("--to", last)
    if from_day and to_day and from_day > to_day:
        raise UsageError(f"--from {from_day} is after --to {to_day}")
    store = open_store(config.store, must_exist=True)
    started_s, days = time.monotonic(), 0
    try:
        routes: set[str] = set()
        for done in rebuild(store, from_day, to_day):
            routes.update(done.routes)
            days += 1
            print(f"{done.day}: {len(done.routes)} routes", file=sys.stderr, flush=True)
        Evaluator(store, config.signals).run(sorted(routes))
    finally:
        store.close()
    took_s = time.monotonic() - started_s
    print(f"rebuilt {days} days, {len(routes)} routes in {took_s:.1f} s", file=sys.stderr)
    return 0


def _day(flag: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{flag} {text}: give a day as YYYY-MM-DD") from error
