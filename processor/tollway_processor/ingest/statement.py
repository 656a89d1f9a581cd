"""The ingest statement: schemas/ingest/*.sql with the columns of schemas/conventions.toml.

The one place where attribute names become SQL. `render` is pure; ingest/codec.py runs the result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

from tollway_processor import schema_files
from tollway_processor.errors import StoreError
from tollway_processor.ingest import conventions
from tollway_processor.ingest.conventions import FOREIGN, SLOTS, Column, columns
from tollway_processor.pricing import layers

# Columns that hold what a model was told and said; their values may be longer than others.
CONTENT = (
    "system_instructions", "input_messages", "output_messages", "tool_definitions",
    "tool_arguments", "tool_result", "input_message_keys", "output_message_keys",
    "answer_text", "answer_calls",
)  # fmt: skip

WHOLE_EVENT = "gen_ai.client.inference.operation.details"
# Files of schemas/ingest that stand where another one says @NAME alone.
FRAGMENTS = ("opened", "conversation")

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
_LINE_IF = re.compile(r"^(.*) -- IF (\w+)\n", re.MULTILINE)
_MACRO = re.compile(r"@(\w+)\(([\w.]*)\)")


class Statement(NamedTuple):
    """An ingest statement: `select` yields rows of `target`'s `columns`, `settings` go last.

    Only an `is_foreign` one meets counts that are not believed; the other stops at them.
    """

    target: str
    columns: str
    select: str
    settings: str
    is_foreign: bool = False


@cache
def render(
    signal: str, proto_path: str, *, is_large: bool = False, is_foreign: bool = False
) -> Statement:
    """Return the statement for "traces" or "logs"; `proto_path` is where otlp.proto lies.

    Lines that end in IF SMALL, IF LARGE, IF PLAIN or IF FOREIGN are taken where they apply. Only
    an `is_large` one cuts and drops attributes over the limits. One that is not `is_foreign`
    fails with PLAIN_ONLY on a span that needs the long way; the foreign ones are all large.
    """
    taken = {"LARGE" if is_large or is_foreign else "SMALL", "FOREIGN" if is_foreign else "PLAIN"}
    sql = schema_files.text(f"ingest/{signal}.sql")
    sql = layers.expand(sql)
    sql = _LINE_IF.sub(lambda line: line[1] + "\n" if line[2] in taken else "", sql)
    for fragment in FRAGMENTS:
        sql = sql.replace(f"@{fragment}\n", schema_files.text(f"ingest/{fragment}.sql"))
    sql = sql.replace("@attributes", _ATTRIBUTES).replace("@proto", proto_path)
    sql = _MACRO.sub(_expand, sql)
    head = re.search(r"INSERT INTO (\w+) \(([^)]*)\)\nSELECT", sql)
    if head is None:
        raise StoreError(f"schemas/ingest/{signal}.sql does not begin with INSERT INTO … SELECT")
    body, _, settings = sql[head.end() :].rpartition("\nSETTINGS\n")
    return Statement(
        head.group(1),
        " ".join(head.group(2).split()),
        "SELECT" + body,
        "SETTINGS " + settings,
        is_foreign and signal == "traces",
    )


def _expand(match: re.Match[str]) -> str:
    macro, argument = match.groups()
    if macro in _OF_AN_EXPRESSION:
        return _OF_AN_EXPRESSION[macro](argument)
    if macro in _OF_THE_FILE:
        return _OF_THE_FILE[macro]()
    column = columns()[argument]
    text = f"hot_text[{column.number}]"
    if macro == "quantities":
        return _quantities(column)
    expansions = {
        "column": str(column.number),
        "code": str(column.number * SLOTS),
        "text": text,
        "number": f"toFloat64OrNull({text})",
        "count": f"hot_count[{column.number}]",
        "key": f"keys[hot[indexOf(hot_columns, {column.number})]]",
    }
    return expansions[macro]


def _value_text(v: str) -> str:
    """An AnyValue as text: arrays as JSON, bytes as base64; any_values.py tells what is nested."""
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
    return " + ".join(
        f"{column.number * SLOTS + FOREIGN} * startsWith({key}, '{prefix}')"
        for column in conventions.of_kind("prefix").values()
        for prefix in column.attributes
    )


def _array(items: Iterable[object]) -> str:
    return "[" + ", ".join(f"'{i}'" if isinstance(i, str) else str(i) for i in items) + "]"


def _renamed(keys: str) -> str:
    """Keys, by the name that a span's convention means with them."""
    sql = keys
    for entry in conventions.table()["renamed"].values():
        names = {key: name for key, name in entry.items() if key != "marker"}
        pairs = f"{_array(names)}, {_array(names.values())}"
        sql = (
            f"if(has({keys}, '{entry['marker']}'), "
            f"arrayMap(k -> transform(k, {pairs}, k), {keys}), {sql})"
        )
    return sql


def _is_quoted(key: str) -> str:
    prefixes = conventions.table()["quoted"]["prefixes"]
    return "(" + " OR ".join(f"startsWith({key}, '{prefix}')" for prefix in prefixes) + ")"


def _spelt(told: str, section: str) -> str:
    names = conventions.table()[section]
    return f"transform({told}, {_array(names)}, {_array(names.values())}, {told})"


def _provider_of_name(name: str) -> str:
    names = conventions.table()["span_names"]
    return f"transform({name}, {_array(names)}, {_array(names.values())}, '')"


def _numbers(kind: str) -> list[int]:
    return [column.number for column in conventions.of_kind(kind).values()]


def _last_hot() -> str:
    hot = (c.number for c in columns().values() if c.kind != "prefix")
    return str(max(hot) * SLOTS + SLOTS - 1)


def _resource_keys() -> str:
    keys = (key for key, _ in conventions.rows() if key.startswith(conventions.RESOURCE))
    return _array(key.removeprefix(conventions.RESOURCE) for key in keys)


def _opened_events() -> list[str]:
    """Names of the events that a span with a plain convention's attributes has not."""
    told = (key.partition("/")[0] for key, _ in conventions.rows() if "/" in key)
    names = set(told) - {conventions.RESOURCE.rstrip("/")}
    return sorted(names | set(conventions.table()["message_events"]))


# Macros of an SQL expression (a name of one), of nothing; all others are of a column.
_OF_AN_EXPRESSION: dict[str, Callable[[str], str]] = {
    "value": _value_text,
    "prefixes": _prefix_code,
    "renamed": _renamed,
    "is_quoted": _is_quoted,
    "is_foreign": lambda code: f"bitTest({code}, {FOREIGN.bit_length() - 1})",
    "operation_of": lambda told: _spelt(told, "operations"),
    "provider_of_name": _provider_of_name,
    "provider_of": lambda told: _spelt(told, "providers"),
}
_OF_THE_FILE: dict[str, Callable[[], str]] = {
    "last_hot": _last_hot,
    "content": lambda: ", ".join(str(columns()[name].number) for name in CONTENT),
    "slots": lambda: str(SLOTS),
    "quoted_markers": lambda: _array(conventions.table()["quoted"]["markers"]),
    "objects": lambda: _array(conventions.table()["objects"]),
    "objects_code": lambda: str(conventions.objects_code()),
    "resource_keys": _resource_keys,
    "opened_events": lambda: _array(_opened_events()),
    "message_names": lambda: _array([*conventions.table()["message_events"], WHOLE_EVENT])[1:-1],
    "message_events": lambda: _array(conventions.table()["message_events"]),
    "message_roles": lambda: _array(conventions.table()["message_events"].values()),
    "counts": lambda: ", ".join(map(str, _numbers("count"))),
    "count_numbers": lambda: _array(_numbers("count")),
    "count_names": lambda: _array(conventions.of_kind("count")),
    "exclusive_providers": lambda: _array(conventions.table()["exclusive"]["providers"]),
    "exclusive_scopes": lambda: _array(conventions.table()["exclusive"]["scopes"]),
    "exclusive_output_scopes": lambda: _array(conventions.table()["exclusive"]["output_scopes"]),
}
