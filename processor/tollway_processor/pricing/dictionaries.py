"""The engine's dictionaries of models and rates, filled from lookup.py."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence

from tollway_processor.pricing.lookup import (
    MODEL_COLUMNS,
    RATE_COLUMNS,
    Cells,
    Digits,
    Learned,
    Lookup,
)
from tollway_processor.pricing.row import PriceRow
from tollway_processor.store.engine import Engine

Name = tuple[str, str]  # provider and model as told, lowercase


class Dictionaries:
    """codec.models and codec.rates in one engine; may be used from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._growing = threading.Lock()
        self.lookup = Lookup(())

    def load(self, rows: Iterable[PriceRow], user_map: Mapping[str, str]) -> None:
        """Replace all prices; the names seen so far are looked up anew."""
        with self._growing:
            seen = self.lookup.names
            lookup = Lookup(rows, user_map)
            learned = lookup.learn(seen)
            for table in ("codec.model_rows", "codec.rate_rows"):
                self._engine.query(f"TRUNCATE TABLE {table}")
            self._add(learned)
            self._reload()
            self.lookup = lookup

    def learn(self, names: Iterable[Name]) -> bool:
        """Learn told names; return whether any of them has a price.

        True means that calls priced before this should be priced once more.
        """
        told = list(names)
        with self._growing:
            learned = self.lookup.learn(told)
            if learned.models:
                self._add(learned)
                self._reload()
            # Another batch may have learned them after this one was decoded.
            return bool(learned.models) or any(self.lookup.knows(name) for name in told)

    def _add(self, learned: Learned) -> None:
        self._insert("codec.rate_rows", RATE_COLUMNS, learned.rates)
        self._insert("codec.model_rows", MODEL_COLUMNS, learned.models)

    def _reload(self) -> None:
        # The rates first: a model must not point to a schedule that is not there yet.
        self._engine.query("SYSTEM RELOAD DICTIONARY codec.rates")
        self._engine.query("SYSTEM RELOAD DICTIONARY codec.models")

    def _insert(self, table: str, columns: Sequence[str], rows: Sequence[Cells]) -> None:
        if rows:
            values = ", ".join(_literal(row) for row in rows)
            self._engine.query(f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}")


def _literal(value: object) -> str:
    """A SQL literal of a cell; a row is a tuple, a tuple in it an array."""
    if isinstance(value, tuple):
        return (
            "(" + ", ".join(_array(v) if isinstance(v, tuple) else _literal(v) for v in value) + ")"
        )
    if isinstance(value, str) and not isinstance(value, Digits):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(value)


def _array(values: tuple[object, ...]) -> str:
    return "[" + ", ".join(_literal(value) for value in values) + "]"
