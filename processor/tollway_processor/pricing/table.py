"""The table `prices`: filled from the price book, read back for the codec."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO
from itertools import chain

from tollway_processor.pricing.book import PriceRow, book_rows
from tollway_processor.store.client import Row, Store

COLUMNS = (
    "price_id", "origin", "provider", "model", "tier", "valid_from", "valid_to",
    "input_usd_per_token", "output_usd_per_token", "cache_read_usd_per_token",
    "cache_write_usd_per_token", "long_context_after", "long_input_usd_per_token",
    "long_output_usd_per_token", "long_cache_read_usd_per_token",
    "long_cache_write_usd_per_token", "updated_at",
)  # fmt: skip


def fill(store: Store) -> int:
    """Write the price book's rows that the store lacks or has otherwise; return how many."""
    present = {str(row["price_id"]): row for row in read(store)}
    changed = [row for row in book_rows() if not _same(row, present.get(row.price_id))]
    if changed:
        write(store, changed)
    return len(changed)


def write(store: Store, rows: list[PriceRow]) -> None:
    """Insert price rows; a row of the same identity is replaced."""
    text = StringIO()
    for row in rows:
        cells = [str(cell) for cell in row[:7]]
        cells += [_plain(rate) for rate in row.rates]
        cells += [str(row.long_context_after), *(_plain(rate) for rate in row.long_rates)]
        text.write("\t".join(cells) + "\n")
    store.insert_block("prices", COLUMNS[:-1], "TSV", text.getvalue().encode())


def read(store: Store) -> list[Row]:
    """Return all price rows."""
    return store.rows(f"SELECT {', '.join(COLUMNS)} FROM prices FINAL")


def _same(row: PriceRow, present: Row | None) -> bool:
    if present is None:
        return False
    told = chain(row.rates, row.long_rates)
    stored = [present[name] for name in COLUMNS if name.endswith("_usd_per_token")]
    return all(a == Decimal(str(b)) for a, b in zip(told, stored, strict=True))


def _plain(rate: Decimal) -> str:
    return f"{rate:f}"
