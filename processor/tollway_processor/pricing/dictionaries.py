"""The engine's dictionaries of models and rates, filled from lookup.py."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence

from tollway_processor.pricing.lookup import COLUMNS, Cells, Digits, Learned, Lookup, Name
from tollway_processor.pricing.row import PriceRow
from tollway_processor.quoting import quote_string
from tollway_processor.store.engine import Engine


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
            lookup = Lookup(rows, user_map, first=self.lookup.next)
            learned = lookup.learn(seen)
            for table in COLUMNS:
                self._engine.query(f"TRUNCATE TABLE codec.{table}_rows")
            self._add(learned)
            self._reload()
            self.lookup = lookup

    @property
    def charges_by_the_call(self) -> bool:
        """Whether some row charges calls that told no usage."""
        return self.lookup.charges_by_the_call

    def learn(self, names: Iterable[Name], *, only_new: bool = False) -> bool:
        """Learn told names; return whether any of them (of the new ones) has a price.

        True means that calls priced before this should be priced once more.
        """
        told = list(names)
        if not told:
            return False
        with self._growing:
            learned = self.lookup.learn(told)
            if learned["model"]:
                self._add(learned)
                self._reload()
            if only_new:
                return bool(learned["model"])
            # Another batch may have learned them after this one was decoded.
            return any(self.lookup.knows(name) for name in told)

    def _add(self, learned: Learned) -> None:
        for table, columns in COLUMNS.items():
            self._insert(f"codec.{table}_rows", columns, learned[table])

    def _reload(self) -> None:
        # The other way round: a name must not point to what is not there yet.
        for table in reversed(COLUMNS):
            self._engine.query(f"SYSTEM RELOAD DICTIONARY codec.{table}s")

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
        return quote_string(value)
    return str(value)


def _array(values: tuple[object, ...]) -> str:
    return "[" + ", ".join(_literal(value) for value in values) + "]"
