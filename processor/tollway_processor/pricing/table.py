"""The table `prices`: filled from the price book and the configuration, read back for the codec."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal

from tollway_processor.pricing.book import book_rows
from tollway_processor.pricing.row import PriceRow
from tollway_processor.store.client import Row, Store

# Rates that have a column of their own; all others stand in unit_rates.
RATE_COLUMNS = {
    "input_tokens": "input_usd_per_token",
    "output_tokens": "output_usd_per_token",
    "cache_read_tokens": "cache_read_usd_per_token",
    "cache_write_tokens": "cache_write_usd_per_token",
    "cache_write_1h_tokens": "cache_write_1h_usd_per_token",
    "requests": "request_usd",
}
_TEXTS = ("price_id", "origin", "source", "provider", "model", "match", "tier")
_DAYS = ("valid_from", "valid_to")
_INTEGERS = ("day_from_s", "day_until_s", "above_input_tokens", "least_seconds")
_DECIMALS = (
    "second_usd", "gpu_hour_usd", "tokens_per_s", "input_tokens_per_s", "output_tokens_per_s",
    "discount_percent",
)  # fmt: skip
COLUMNS = (
    *_TEXTS, *_DAYS, *_INTEGERS, *RATE_COLUMNS.values(), *_DECIMALS, "gpus", "unit_rates",
    "is_free", "is_withdrawn",
)  # fmt: skip

SELECT = f"SELECT {', '.join(COLUMNS)} FROM prices FINAL WHERE NOT is_withdrawn"

MODELS = "SELECT told, model FROM price_models FINAL WHERE NOT is_withdrawn"
TOML_MODELS = f"{MODELS} AND source = 'toml'"


def fill(store: Store, toml_rows: Sequence[PriceRow] | None = None) -> int:
    """Bring the rows of the price book, and of the configuration if given, up to date.

    Rows that no longer hold are withdrawn; rows written by SQL stay as they are. Returns how many
    rows changed.
    """
    wanted = {"book": book_rows()}
    if toml_rows is not None:
        wanted["toml"] = tuple(toml_rows)
    present = [row for row in read(store) if row.source in wanted]
    known = {_identity(row): row for row in present}
    told = {_identity(row): row for rows in wanted.values() for row in rows}
    changed = [row for identity, row in told.items() if known.get(identity) != row]
    gone = [row for identity, row in known.items() if identity not in told]
    write(store, changed, withdrawn=gone)
    return len(changed) + len(gone)


def write(store: Store, rows: Iterable[PriceRow], withdrawn: Iterable[PriceRow] = ()) -> None:
    """Insert rows, which replace those of the same identity, and withdraw others."""
    lines = [json.dumps(_cells(row, is_withdrawn=False)) for row in rows]
    lines += [json.dumps(_cells(row, is_withdrawn=True)) for row in withdrawn]
    if lines:
        store.insert_block("prices", COLUMNS, "JSONEachRow", "\n".join(lines).encode())


def read_models(store: Store) -> dict[str, str]:
    """Return what users say their models are in the price book."""
    return {str(row["told"]): str(row["model"]) for row in store.rows(MODELS)}


def read(store: Store) -> list[PriceRow]:
    """Return all price rows that hold."""
    return [row_of(cells) for cells in store.rows(SELECT)]


def fill_models(store: Store, models: Mapping[str, str]) -> int:
    """Bring the configuration's map of models up to date; return how many names changed."""
    present = {str(row["told"]): str(row["model"]) for row in store.rows(TOML_MODELS)}
    changed = [(told, model, False) for told, model in models.items() if present.get(told) != model]
    changed += [(told, model, True) for told, model in present.items() if told not in models]
    names = ("told", "model", "source", "is_withdrawn")
    lines = [
        json.dumps(dict(zip(names, (told, model, "toml", gone), strict=True)))
        for told, model, gone in changed
    ]
    if lines:
        store.insert_block("price_models", names, "JSONEachRow", "\n".join(lines).encode())
    return len(lines)


def _identity(row: PriceRow) -> tuple[object, ...]:
    """The sorting key of the table."""
    return (
        row.provider, row.model, row.tier, row.valid_from, row.origin, row.match,
        row.day_from_s, row.above_input_tokens,
    )  # fmt: skip


def _cells(row: PriceRow, *, is_withdrawn: bool) -> dict[str, object]:
    cells: dict[str, object] = {name: getattr(row, name) for name in (*_TEXTS, *_INTEGERS)}
    cells |= {name: getattr(row, name).isoformat() for name in _DAYS}
    cells |= {name: _text(getattr(row, name)) for name in (*_DECIMALS, "gpus")}
    cells |= {column: _text(row.rates.get(unit)) for unit, column in RATE_COLUMNS.items()}
    cells["unit_rates"] = {
        unit: _text(rate) for unit, rate in row.rates.items() if unit not in RATE_COLUMNS
    }
    return cells | {"is_free": row.is_free, "is_withdrawn": is_withdrawn}


def _text(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"


def row_of(cells: Row) -> PriceRow:
    """Return the price row of one result row of SELECT."""
    rates = {
        unit: Decimal(str(cells[column]))
        for unit, column in RATE_COLUMNS.items()
        if cells[column] is not None
    }
    others = cells["unit_rates"]
    if isinstance(others, dict):
        rates |= {unit: Decimal(str(rate)) for unit, rate in others.items()}
    told: dict[str, object] = {name: cells[name] for name in _TEXTS}
    told |= {name: date.fromisoformat(str(cells[name])) for name in _DAYS}
    told |= {name: int(str(cells[name])) for name in _INTEGERS}
    told |= {
        name: None if cells[name] is None else Decimal(str(cells[name]))
        for name in (*_DECIMALS, "gpus")
    }
    return PriceRow(**told, rates=rates, is_free=bool(cells["is_free"]))  # type: ignore[arg-type]  # names and types are those of the columns
