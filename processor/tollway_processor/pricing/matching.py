"""Which rows of `prices` speak of a call's model, and which of them goes before which."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from tollway_processor.pricing.models import Resolution
from tollway_processor.pricing.row import DEFAULT_TIER, PriceRow
from tollway_processor.pricing.spellings import provider_id

_RANK = {"regex": 0, "prefix": 1, "exact": 2}


class PriceBook:
    """All rows of `prices`: the book's by model, the users' by what they match."""

    def __init__(self, rows: Iterable[PriceRow]) -> None:
        self._book: dict[tuple[str, str], list[PriceRow]] = defaultdict(list)
        self.user_rows: list[PriceRow] = []
        for row in rows:
            if row.is_user:
                self.user_rows.append(row)
            else:
                self._book[row.provider, row.model].append(row)

    def rows_of(self, told_provider: str, found: Resolution) -> list[PriceRow]:
        """Return the rows for a call, the weakest first.

        A user's row wins over the book's; a whole name over a prefix over a regular expression, a
        longer one over a shorter, one with a provider over one without; last, a row of the tier
        over the default tier's, and one for longer prompts over one for all.
        """
        book = self._book.get((found.provider, found.model), [])
        if found.is_lent:
            # Who resells a model at its owner's standard rates is not known to resell its tiers.
            book = [row for row in book if row.tier == DEFAULT_TIER]
        providers = {"", told_provider, provider_id(told_provider), found.provider}
        own = [row for row in self.user_rows if _speaks_of(row, providers, found)]
        return sorted((*book, *own), key=_strength)


def _strength(row: PriceRow) -> tuple[bool, int, int, bool, str, bool, int]:
    return (
        row.is_user,
        _RANK[row.match],
        len(row.model),
        row.provider != "",
        row.model if row.is_user else "",
        row.tier != DEFAULT_TIER,
        row.above_input_tokens,
    )


def _speaks_of(row: PriceRow, providers: set[str], found: Resolution) -> bool:
    if row.provider.lower() not in providers and provider_id(row.provider.lower()) not in providers:
        return False
    names = [name.lower() for name in found.names]
    pattern = row.model.lower()
    if row.match == "exact":
        return pattern in names
    if row.match == "prefix":
        return any(name.startswith(pattern) for name in names)
    return any(re.fullmatch(row.model, name, re.IGNORECASE) for name in names)
