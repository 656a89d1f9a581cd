"""The ingest statement: schemas/ingest/*.sql with the columns of schemas/conventions.toml.

The one place where attribute names become SQL. `render` is pure; ingest/codec.py runs the result.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from typing import Any, NamedTuple

from tollway_processor import schema_files
from tollway_processor.errors import StoreError
from tollway_processor.pricing import layers

SLOTS = 32  # codes of one column: code = column * SLOTS + precedence
# Columns that hold what a model was told and said; their values may be longer than others.
CONTENT = (
    "system_instructions", "input_messages", "output_messages", "tool_definitions",
    "tool_arguments", "tool_result", "input_message_keys", "output_message_keys",
)  # fmt: skip

_VALUE = (
    "Tuple(value Enum8(''no''=0, ''string_value''=1, ''bool_value''=2, ''int_value''=3, "
    "''double_value''=4, ''array_value''=5, ''kvlist_value''=6, ''bytes_value''=7), "
    "string_value String, bool_value UInt64, int_value Int64, double_value Float64, "
    "array_value Tuple(values Array(Tuple(value Enum8(''no''=0, ''string_value''=1, "
    "''bool_value''=2, ''int_value''=3, ''double_value''=4, ''array_value''=5, "
    "''kvlist_value''=6, ''bytes_value''=7), string_value String, bool_value UInt64, "
    "int_value Int64, double_value Float64))), kvlist_value String, bytes_value String)"
)
_ATTRIBUTES = f"Array(Tuple(key String, value {_VALUE}))"
_LINE_IF_SMALL = re.compile(r"^.* -- IF SMALL\n", re.MULTILINE)
_LINE_IF_LARGE = re.compile(r"^.* -- IF LARGE\n", re.MULTILINE)
_MACRO = re.compile(r"@(\w+)\((\w+)\)")


class Column(NamedTuple):
    """One column of conventions.toml: its number, kind, and attributes by precedence.

    A column of quantities has a unit beside each attribute, and numbers the units, not the names.
    """

    number: int
    kind: str
    attributes: tuple[str, ...]
    units: tuple[str, ...] = ()

    def code(self, attribute: str) -> int:
        """Return the code of one of its attributes, matched whole."""
        index = self.attributes.index(attribute)
        if self.units:
            index = sorted(set(self.units)).index(self.units[index])
        return self.number * SLOTS + index


class Statement(NamedTuple):
    """An ingest statement: `select` yields rows of `target`'s `columns`, `settings` go last."""

    target: str
    columns: str
    select: str
    settings: str


@cache
def columns() -> dict[str, Column]:
    """Return conventions.toml as columns by name; prefixes are numbered last."""
    table = tomllib.loads(schema_files.text("conventions.toml"))["columns"]
    ordered = sorted(table.items(), key=lambda item: item[1]["kind"] == "prefix")
    return {name: _column(number, entry) for number, (name, entry) in enumerate(ordered, 1)}


def _column(number: int, entry: dict[str, Any]) -> Column:
    told = entry.get("units") or {"": entry["attributes"]}
    pairs = [(unit, name) for unit, names in told.items() for name in names]
    column = Column(
        number,
        entry["kind"],
        tuple(name for _, name in pairs),
        tuple(unit for unit, _ in pairs if unit),
    )
    if len(set(column.units) or column.attributes) > SLOTS:
        raise StoreError(f"conventions.toml: more than {SLOTS} attributes in {pairs[0][1]}")
    return column


def convention_rows() -> list[tuple[str, int]]:
    """Return (attribute key, code) for every attribute that is matched whole."""
    return [
        (key, column.code(key))
        for column in columns().values()
        if column.kind != "prefix"
        for key in column.attributes
    ]


@cache
def render(signal: str, proto_path: str, *, is_large: bool = False) -> Statement:
    """Return the statement for "traces" or "logs"; `proto_path` is where otlp.proto lies.

    Only the `is_large` one cuts and drops attributes over the limits.
    """
    sql = schema_files.text(f"ingest/{signal}.sql")
    sql = layers.expand(sql)
    sql = (_LINE_IF_SMALL if is_large else _LINE_IF_LARGE).sub("", sql)
    sql = sql.replace("@attributes", _ATTRIBUTES).replace("@proto", proto_path)
    hot = [c.number for c in columns().values() if c.kind != "prefix"]
    sql = sql.replace("@last_hot", str(max(hot) * SLOTS + SLOTS - 1))
    sql = sql.replace("@content", ", ".join(str(columns()[name].number) for name in CONTENT))
    sql = _MACRO.sub(_expand, sql)
    head = re.search(r"INSERT INTO (\w+) \(([^)]*)\)\nSELECT", sql)
    if head is None:
        raise StoreError(f"schemas/ingest/{signal}.sql does not begin with INSERT INTO … SELECT")
    body, _, settings = sql[head.end() :].rpartition("\nSETTINGS\n")
    return Statement(
        head.group(1), " ".join(head.group(2).split()), "SELECT" + body, "SETTINGS " + settings
    )


def _expand(match: re.Match[str]) -> str:
    macro, argument = match.groups()
    if macro == "value":
        return _value_text(argument)
    if macro == "prefixes":
        return _prefix_code(argument)
    if macro == "quantities":
        return _quantities(columns()[argument])
    column = columns()[argument]
    text = f"hot_text[{column.number}]"
    expansions = {
        "code": str(column.number * SLOTS),
        "text": text,
        "number": f"toFloat64OrNull({text})",
        "count": f"toUInt32OrNull({text})",
    }
    return expansions[macro]


def _value_text(v: str) -> str:
    """An AnyValue as text: arrays as JSON, bytes and key-value lists as base64 of the wire form."""
    leaf = (
        "multiIf(x.value = 'string_value', toJSONString(x.string_value), "
        "x.value = 'int_value', toString(x.int_value), x.value = 'double_value', "
        "toString(x.double_value), "
        "x.value = 'bool_value', if(x.bool_value != 0, 'true', 'false'), 'null')"
    )
    return (
        f"multiIf({v}.value = 'string_value', {v}.string_value, "
        f"{v}.value = 'int_value', toString({v}.int_value), "
        f"{v}.value = 'double_value', toString({v}.double_value), "
        f"{v}.value = 'bool_value', if({v}.bool_value != 0, 'true', 'false'), "
        f"{v}.value = 'array_value', concat('[', arrayStringConcat(arrayMap(x -> {leaf}, "
        f"{v}.array_value.values), ','), ']'), "
        f"{v}.value = 'kvlist_value', base64Encode({v}.kvlist_value), "
        f"{v}.value = 'bytes_value', base64Encode({v}.bytes_value), '')"
    )


def _quantities(column: Column) -> str:
    """A map of unit to amount, of the attributes that tell one above 0."""
    first = column.number * SLOTS
    units = ", ".join(f"'{unit}'" for unit in sorted(set(column.units)))
    return (
        "mapFilter((unit, amount) -> amount > 0 AND amount < 4294967296, CAST(arrayMap("
        f"c -> ([{units}][c - {first - 1}], toDecimal64OrZero(texts[indexOf(codes, c)], 6)), "
        f"arrayFilter(c -> c BETWEEN {first} AND {first + SLOTS - 1}, arrayDistinct(codes))), "
        "'Map(LowCardinality(String), Decimal(18, 6))'))"
    )


def _prefix_code(key: str) -> str:
    terms = [
        f"{column.number * SLOTS} * startsWith({key}, '{prefix}')"
        for column in columns().values()
        if column.kind == "prefix"
        for prefix in column.attributes
    ]
    return " + ".join(terms)
