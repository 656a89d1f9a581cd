"""The documented questions of schemas/queries: what each asks, its parameters, and its SQL.

A file's header is the documentation: the question in its first line, then one line a parameter
(`name = default: what it is`, without a default where it must be given), then the result's columns
with their units.
"""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Mapping
from typing import NamedTuple

from tollway_processor import schema_files
from tollway_processor.errors import UsageError

# Spans and traces lie in the partition of the day they began on. Told so, the engine deduplicates
# each day by itself, and reads none that a question is not about.
SETTINGS = {"final": "1", "do_not_merge_across_partitions_select_final": "1"}
EVERYTHING = "all"
_PARAMETER = re.compile(r"^--   (\w+)( = ([^:]*))?: (.+)$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\{(\w+):(\w+)\}")
_SPAN = re.compile(r"(\d+)([smhdw])")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Parameter(NamedTuple):
    """One parameter: `default` None where it must be given; `type` is the engine's."""

    name: str
    type: str
    default: str | None
    description: str


class Question(NamedTuple):
    """One question: its name is its file's; `placeholders` are the SQL's, by engine type."""

    name: str
    title: str
    parameters: tuple[Parameter, ...]
    placeholders: dict[str, str]
    sql: str

    @classmethod
    def named(cls, name: str) -> Question:
        """Return the question of that name; raises UsageError naming those that there are."""
        if name not in names():
            near = difflib.get_close_matches(name, names(), 3, 0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else "`tollway ask` lists them"
            raise UsageError(f"there is no question {name}; {hint}")
        sql = schema_files.text(f"queries/{name}.sql")
        placeholders = dict(_PLACEHOLDER.findall(sql))
        told = {
            found[1]: Parameter(found[1], _type(found[1], placeholders), found[3], found[4])
            for found in _PARAMETER.finditer(sql)
        }
        return cls(name, _title(sql), tuple(told.values()), placeholders, sql)

    def bound(self, given: Mapping[str, str]) -> dict[str, object]:
        """Return the SQL's parameters for those given as text, defaults filled in.

        Raises UsageError, with the parameter's name, for one that is unknown, missing or no value
        of its type.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                have = ", ".join(known) or "none"
                raise UsageError(f"{self.name} has no parameter {name} (it has: {have})")
        values: dict[str, object] = {}
        for parameter in self.parameters:
            text = given.get(parameter.name, parameter.default)
            if text is None:
                raise UsageError(
                    f"{self.name} needs --param {parameter.name}=…: {parameter.description}"
                )
            is_span = f"{parameter.name}_s" in self.placeholders
            name = f"{parameter.name}_s" if is_span else parameter.name
            values[name] = _start_s(parameter, text) if is_span else _value(parameter, text)
        return values


def names() -> list[str]:
    """Return the names of the questions that can be asked."""
    return [
        name.removesuffix(".sql")
        for name in schema_files.names("queries")
        if _is_documented(schema_files.text(f"queries/{name}"))
    ]


def _is_documented(sql: str) -> bool:
    """A query that only a command uses leaves a placeholder without its line."""
    told = {found[1] for found in _PARAMETER.finditer(sql)}
    asked = {name.removesuffix("_s") for name, _ in _PLACEHOLDER.findall(sql)}
    return _title(sql).endswith("?") and "system." not in sql and asked <= told | {""}


def _title(sql: str) -> str:
    return sql.split("\n", 1)[0].removeprefix("--").strip()


def _type(name: str, placeholders: Mapping[str, str]) -> str:
    return "time" if f"{name}_s" in placeholders else placeholders.get(name, "String")


def _start_s(parameter: Parameter, text: str) -> int:
    """Return the start (s since 1970, UTC) of a span of time; 0 for everything."""
    if text == EVERYTHING:
        return 0
    found = _SPAN.fullmatch(text)
    if not found:
        raise UsageError(
            f"parameter {parameter.name}: {text!r} is no span of time; give a number and "
            f"s, m, h, d or w, for instance 7d, or {EVERYTHING}"
        )
    return max(int(time.time()) - int(found[1]) * _UNITS_S[found[2]], 0)


def _value(parameter: Parameter, text: str) -> object:
    if parameter.type == "String":
        return text
    kind = float if parameter.type.startswith("Float") else int
    try:
        value = kind(text)
    except ValueError as error:
        what = "number" if kind is float else "whole number"
        raise UsageError(f"parameter {parameter.name}: {text!r} is no {what}") from error
    limit = 2 ** int(parameter.type[4:]) if parameter.type.startswith("UInt") else None
    if limit is not None and not 0 <= value < limit:
        raise UsageError(f"parameter {parameter.name}: {text} is not between 0 and {limit - 1}")
    return value
