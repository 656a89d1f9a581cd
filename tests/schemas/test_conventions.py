"""conventions.toml against the statement that is made from it."""

from __future__ import annotations

import re

import pytest

from tollway_processor import schema_files
from tollway_processor.ingest import conventions
from tollway_processor.ingest.statement import render

PROTO = "otlp.proto"


def test_every_attribute_has_a_code_of_its_column_in_the_order_of_the_file():
    codes = dict(conventions.rows())
    for name, column in conventions.columns().items():
        if column.kind == "prefix" or column.units:
            continue
        found = [codes[attribute] for attribute in column.attributes]
        assert [code // conventions.SLOTS for code in found] == [column.number] * len(found), name
        assert found == sorted(set(found)), name


def test_only_attributes_of_other_conventions_need_the_long_way():
    codes = dict(conventions.rows())
    is_foreign = {key: bool(code & conventions.FOREIGN) for key, code in codes.items()}
    assert not is_foreign["gen_ai.usage.input_tokens"]
    assert not is_foreign["llm.token_count.prompt"]  # Tollway's own library writes it too
    assert is_foreign["openinference.span.kind"]
    assert is_foreign["metadata"]
    assert is_foreign["gen_ai.prompt.0.role"]
    assert is_foreign["resource/tollway.route"]


@pytest.mark.parametrize("name", sorted(conventions.columns()))
def test_every_column_of_the_file_is_read_by_the_statement(name):
    column = conventions.columns()[name]
    if name == "total_tokens":
        return  # told beside its parts; known, so that it is no unknown attribute
    numbers = {f"hot_text[{column.number}]", f"hot_count[{column.number}]"}
    sql = render("traces", PROTO, is_foreign=True).select
    is_read = any(number in sql for number in numbers)
    first = column.number * conventions.SLOTS
    assert is_read or f"c BETWEEN {first} AND" in sql or f"toUInt16({first} + " in sql


def test_no_macro_is_left_in_a_statement():
    for signal in ("traces", "logs"):
        for is_foreign in (False, True):
            statement = render(signal, PROTO, is_foreign=is_foreign)
            sql = re.sub(r"'(?:[^'\\]|\\.)*'", "", " ".join(statement[:4]))
            assert not re.search(r"@\w+| -- IF ", sql)


def test_statement_of_plain_spans_has_no_line_of_the_others():
    plain = render("traces", PROTO).select
    assert "JSONExtractKeysAndValuesRaw" not in plain
    assert len(plain) < len(render("traces", PROTO, is_foreign=True).select) / 2


def test_conventions_are_all_named_and_used():
    written = {
        name
        for column in conventions.columns().values()
        for names in column.written_by
        for name in names.split()
    }
    assert written == set(conventions.table()["conventions"])
    assert "conventions.toml" in schema_files.text("ingest/traces.sql")
