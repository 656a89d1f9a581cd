"""schemas/conventions.toml as Python values; what becomes SQL of them is statement.py's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from tollway_processor import schema_files
from tollway_processor.errors import StoreError

SLOTS = 64  # codes of one column: code = column * SLOTS + precedence
# Set in the code of an attribute that only conventions write which need the long way.
FOREIGN = 32
RESOURCE = "resource/"
# An indexed key of each form with index 0: one of them stands on every span that has any.
_FIRST_KEYS = ("0.message.role", "0.role", "0.message.content", "0.content", "0.user")


class Column(NamedTuple):
    """One column of conventions.toml: its number, kind, and attributes by precedence.

    `units` has the unit of each attribute in a column of quantities, whose codes tell the unit.
    """

    number: int
    kind: str
    attributes: tuple[str, ...]
    written_by: tuple[str, ...]  # of each attribute: names of its conventions, space between
    units: tuple[str, ...] = ()

    def code(self, attribute: str) -> int:
        """Return the code of one of its attributes."""
        index = self.attributes.index(attribute)
        if self.units:
            return self.number * SLOTS + self.unit_names.index(self.units[index])
        if self.kind == "prefix":
            return self.number * SLOTS + FOREIGN
        is_plain = _is_plain(self.written_by[index], attribute)
        return self.number * SLOTS + index + (0 if is_plain else FOREIGN)

    @property
    def unit_names(self) -> list[str]:
        """The units of a column of quantities, in the order of their codes."""
        return sorted(set(self.units))


@cache
def table() -> Mapping[str, Any]:
    """Return conventions.toml."""
    return tomllib.loads(schema_files.text("conventions.toml"))


@cache
def columns() -> Mapping[str, Column]:
    """Return the columns by name, numbered from 1; prefixes are numbered last."""
    ordered = sorted(table()["columns"].items(), key=lambda item: item[1]["kind"] == "prefix")
    return {name: _column(number, name, entry) for number, (name, entry) in enumerate(ordered, 1)}


def of_kind(kind: str) -> Mapping[str, Column]:
    """Return the columns of one kind by name."""
    return {name: column for name, column in columns().items() if column.kind == kind}


def objects_code() -> int:
    """Return the code of an attribute that is a JSON object and no column of its own."""
    return (len(columns()) + 1) * SLOTS + FOREIGN


def rows() -> list[tuple[str, int]]:
    """Return (attribute key, code) for every attribute that is looked up whole."""
    found = {key: objects_code() for key in table()["objects"]}
    for column in columns().values():
        if column.kind == "prefix":
            keys = (prefix + rest for prefix in column.attributes for rest in _FIRST_KEYS)
            found |= dict.fromkeys(keys, column.number * SLOTS + FOREIGN)
        else:
            found |= {key: column.code(key) for key in column.attributes}
    return list(found.items())


def _is_plain(written_by: str, attribute: str) -> bool:
    known = table()["conventions"]
    return "/" not in attribute and any(known[name].get("plain") for name in written_by.split())


def _column(number: int, name: str, entry: Mapping[str, Any]) -> Column:
    by_unit: Mapping[str, Mapping[str, str]] = entry.get("units") or {"": entry["attributes"]}
    told = [(unit, *pair) for unit, pairs in by_unit.items() for pair in pairs.items()]
    column = Column(
        number,
        entry["kind"],
        tuple(attribute for _, attribute, _ in told),
        tuple(written_by for _, _, written_by in told),
        tuple(unit for unit, _, _ in told if unit),
    )
    _check(name, column)
    return column


def _check(name: str, column: Column) -> None:
    fault = ""
    unknown = set(" ".join(column.written_by).split()) - set(table()["conventions"])
    if unknown:
        fault = f"{', '.join(sorted(unknown))} is no convention"
    if len(set(column.attributes)) < len(column.attributes):
        fault = "an attribute stands there twice"
    if column.units or column.kind == "prefix":
        most = len(set(column.units))
    else:
        plain = [_is_plain(*p) for p in zip(column.written_by, column.attributes, strict=True)]
        most = len(plain)
        if plain != sorted(plain, reverse=True):
            fault = "attributes of plain conventions must stand before the others"
    if most > FOREIGN:
        fault = f"more than {FOREIGN} attributes"
    if fault:
        raise StoreError(f"conventions.toml, column {name}: {fault}")
