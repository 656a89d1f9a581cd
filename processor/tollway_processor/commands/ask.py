"""`tollway ask`: a documented question, its answer on stdout in a ClickHouse format."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tollway_processor.commands.reader import reader
from tollway_processor.config import Config
from tollway_processor.errors import UsageError
from tollway_processor.questions import SETTINGS, Question, names


def run_ask(config: Config, name: str | None, given: Sequence[str], format: str | None) -> int:
    """Answer a question, or list them all without a name.

    given: NAME=VALUE each. Raises UsageError for a question or a parameter that is wrong.
    """
    if name is None:
        _list()
        return 0
    question = Question.named(name)
    parameters = question.bound(_pairs(given))
    chosen = format or ("PrettyCompact" if sys.stdout.isatty() else "TSV")
    settings = {**SETTINGS, "output_format_json_quote_decimals": "1"}
    with reader(config) as source:
        result = source.query(question.sql, parameters, format=chosen, settings=settings)
    sys.stdout.buffer.write(result)
    sys.stdout.buffer.flush()
    return 0


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--param {text}: give NAME=VALUE, for instance since=7d")
        pairs[name] = value
    return pairs


def _list() -> None:
    for name in names():
        question = Question.named(name)
        print(f"{name}\n    {question.title}")
        for parameter in question.parameters:
            default = "" if parameter.default is None else f"={parameter.default}"
            must = ", must be given" if parameter.default is None else ""
            print(f"    --param {parameter.name}{default}    {parameter.description}{must}")
