"""Which price row holds on which day: overlapping rows of one model become a plain sequence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from tollway_processor.store.client import Row

TIERS = ("default", "batch", "flex", "priority")
_DAY = timedelta(days=1)

Span = tuple[date, date, Row]


def effective_rows(rows: Iterable[Row]) -> Iterator[tuple[str, Span]]:
    """Yield (tier, (first day, last day, row)) without overlaps, for every model and tier.

    A user's row wins over the book's; a tier without a row of its own takes the default's.
    """
    by_model: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_model[str(row["provider"]), str(row["model"])].append(row)
    for model_rows in by_model.values():
        for tier in TIERS:
            for span in _overlay(sorted(_of_tier(model_rows, tier), key=_precedence)):
                yield tier, span


def _of_tier(rows: list[Row], tier: str) -> list[Row]:
    return [row for row in rows if row["tier"] in (tier, "default")]


def _precedence(row: Row) -> tuple[bool, bool, str]:
    return row["origin"] == "user", row["tier"] != "default", str(row["valid_from"])


def _overlay(rows: list[Row]) -> list[Span]:
    """Lay each row over the ones before it: a later row hides the days it covers."""
    spans: list[Span] = []
    for row in rows:
        first, last = (date.fromisoformat(str(row[name])) for name in ("valid_from", "valid_to"))
        kept: list[Span] = []
        for start, end, below in spans:
            if start < first:
                kept.append((start, min(end, first - _DAY), below))
            if end > last:
                kept.append((max(start, last + _DAY), end, below))
        spans = [*kept, (first, last, row)]
    return spans
