"""The prices that a store prices with now: its table, the configuration's rows, the user's map."""

from __future__ import annotations

import logging
from typing import Protocol, runtime_checkable

from tollway_processor.ingest.codec import Codec
from tollway_processor.pricing import table
from tollway_processor.pricing.config import PricesConfig, user_rows
from tollway_processor.store.client import Store

logger = logging.getLogger(__name__)
_VERSION = """
SELECT 'prices' AS of, count() AS n, toString(max(updated_at)) AS newest FROM prices
UNION ALL
SELECT 'price_models' AS of, count() AS n, toString(max(updated_at)) AS newest FROM price_models
"""


@runtime_checkable
class Priced(Protocol):
    """A store that prices calls itself."""

    codec: Codec


class CurrentPrices:
    """Keeps what a store prices with equal to its table, which SQL may change at any time."""

    def __init__(self, store: Store, config: PricesConfig) -> None:
        self._store = store
        self.config = config
        self._seen: list[str] = []

    def apply(self, *, is_whole: bool = True) -> int:
        """Write the configuration's rows into the table and price with it; return rows changed.

        Rows of an earlier configuration are withdrawn, unless this one has none and is not the
        whole (a command that was not told the processor's). Raises UsageError when a row of the
        configuration cannot hold.
        """
        rows = self.config.price_rows()
        changed = table.fill(self._store, rows if rows or is_whole else None)
        if self.config.models or is_whole:
            changed += table.fill_models(self._store, self.config.models)
        self.refresh()
        return changed

    def refresh(self) -> bool:
        """Take over the table if it has changed since; return whether it had."""
        version = sorted(str(row) for row in self._store.rows(_VERSION))
        if version == self._seen:
            return False
        rows, faults = user_rows(table.read(self._store))
        for fault in faults:
            logger.warning("a row of prices is left out: %s", fault)
        if isinstance(self._store, Priced):
            self._store.codec.prices.load(rows, table.read_models(self._store))
        self._seen = version
        return True
