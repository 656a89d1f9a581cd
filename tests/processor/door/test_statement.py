"""Cutting statements: what the door writes for the engine means what the client sent."""

from __future__ import annotations

from typing import Any

import pytest

from tollway_processor.door import parse
from tollway_processor.door.session import Connection
from tollway_processor.door.statement import split_insert, split_statement
from tollway_processor.door.tokens import tokens, unquote
from tollway_processor.errors import StoreError
from tollway_processor.quoting import quote_name, quote_string

STATEMENTS = [
    ("SELECT 1", None, {}),
    ("SELECT 1 FORMAT JSON", "JSON", {}),
    ("SELECT 1 format Values", "Values", {}),
    ("SELECT 1 SETTINGS max_threads = 1", None, {"max_threads": "1"}),
    ("SELECT 1 SETTINGS max_threads = 1 FORMAT JSON", "JSON", {"max_threads": "1"}),
    ("SELECT 1 FORMAT JSON SETTINGS max_threads = 1", "JSON", {"max_threads": "1"}),
    (
        "SELECT 1 SETTINGS offset = 0, session_timezone = 'a, b = ''c''' FORMAT CSV",
        "CSV",
        {"offset": "0", "session_timezone": "a, b = 'c'"},
    ),
    ("SELECT 1 ORDER BY format FORMAT JSON", "JSON", {}),
    ("SELECT format, settings, into FROM t ORDER BY settings, format", None, {}),
    ("SELECT 1 AS format, 2 AS settings FORMAT TSV", "TSV", {}),
    ("SELECT t.format FROM t AS format WHERE settings = 1", None, {}),
    ("SELECT * FROM format FORMAT TSV", "TSV", {}),
    ("SELECT ' FORMAT JSON SETTINGS a = 1 INTO OUTFILE x', `FORMAT JSON` FROM t", None, {}),
    ("SELECT 1 -- FORMAT JSON", None, {}),
    ("SELECT (SELECT 1 SETTINGS max_threads = 2) AS x", None, {}),
    ("(SELECT 1) UNION ALL (SELECT 2) SETTINGS max_threads = 1", None, {"max_threads": "1"}),
    ("WITH x AS (SELECT 1 AS format) SELECT format FROM x", None, {}),
    ("SELECT sum(x) OVER (PARTITION BY format) FROM t WINDOW w AS (ORDER BY format)", None, {}),
    ("SELECT CASE WHEN format THEN settings ELSE into END FROM t", None, {}),
    ("SHOW TABLES LIKE 'a' FORMAT JSON", "JSON", {}),
    ("DESCRIBE TABLE t FORMAT JSON", "JSON", {}),
    ("EXPLAIN indexes = 1 SELECT 1 FORMAT JSON", "JSON", {}),
    ("EXISTS TABLE format", None, {}),
]


@pytest.fixture(scope="module")
def connection(store: Any) -> Any:
    with store.session() as engine:
        yield Connection(engine)


@pytest.mark.parametrize(("text", "result_format", "settings"), STATEMENTS)
def test_written_statement_is_the_clients_with_a_file(
    connection: Connection, text: str, result_format: str | None, settings: dict[str, str]
) -> None:
    statement = split_statement(parse.normalise(connection, text, {}))
    assert (statement.format, statement.settings, statement.outfile) == (
        result_format,
        settings,
        None,
    )
    written = parse.normalise(connection, statement.into_file("/f", "TSV"), {})
    again = split_statement(written)
    assert again.body == parse.normalise(connection, statement.body, {})
    assert (again.settings, again.outfile) == (settings, "/f")
    assert again.format == (result_format or "TSV")
    without = parse.normalise(connection, written.replace(" INTO OUTFILE '/f' APPEND", ""), {})
    plain = f"{statement.body} FORMAT {result_format or 'TSV'}"
    if settings:
        plain += f" SETTINGS {statement.settings_text}"
    assert without == parse.normalise(connection, plain, {})


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 INTO OUTFILE 'x'",
        "SHOW TABLES INTO OUTFILE 'x' TRUNCATE FORMAT CSV SETTINGS a = 1",
    ],
)
def test_file_of_the_clients_is_seen(connection: Connection, text: str) -> None:
    assert split_statement(parse.normalise(connection, text, {})).outfile == "x"


def test_format_that_is_more_than_a_name_is_refused(connection: Connection) -> None:
    normal = parse.normalise(connection, "SELECT 1 FORMAT `TSV; SELECT 2`", {})
    with pytest.raises(StoreError, match="Unknown format"):
        split_statement(normal)


@pytest.mark.parametrize(
    ("body", "head", "settings", "result_format", "data"),
    [
        (b"INSERT INTO t FORMAT TSV\n1\n", "INSERT INTO t", "", "TSV", b"1\n"),
        (b"INSERT INTO t FORMAT TSV\r\n1\n", "INSERT INTO t", "", "TSV", b"1\n"),
        (b"INSERT INTO t FORMAT RowBinary\n\n \n", "INSERT INTO t", "", "RowBinary", b"\n \n"),
        (
            b"INSERT INTO t FORMAT RowBinary\n\xff\xfe",
            "INSERT INTO t",
            "",
            "RowBinary",
            b"\xff\xfe",
        ),
        (
            b'insert into t format JSONEachRow {"a": 1}',
            "insert into t",
            "",
            "JSONEachRow",
            b'{"a": 1}',
        ),
        (
            b"INSERT INTO `f`.`FORMAT x` (`a`, `SETTINGS`) SETTINGS a = 1, b = 'FORMAT x' FORMAT CSV\n1",
            "INSERT INTO `f`.`FORMAT x` (`a`, `SETTINGS`)",
            "a = 1, b = 'FORMAT x'",
            "CSV",
            b"1",
        ),
        ("INSERT INTO ü FORMAT TSV\nü".encode(), "INSERT INTO ü", "", "TSV", "ü".encode()),
        (b"INSERT /* FORMAT x */ INTO t -- FORMAT y\n FORMAT TSV", None, "", "TSV", b""),
    ],
)
def test_insert_is_cut_where_its_data_begins(
    body: bytes, head: str | None, settings: str, result_format: str, data: bytes
) -> None:
    insert = split_insert(body)
    assert insert is not None
    assert head in (None, insert.head)
    assert (insert.settings_text, insert.format) == (settings, result_format)
    assert body[insert.data_start :] == data


@pytest.mark.parametrize(
    "body",
    [
        b"INSERT INTO t VALUES (1, ' FORMAT TSV ')",
        b"INSERT INTO t SELECT 1 FORMAT TSV",
        b"INSERT INTO t FROM INFILE 'x' FORMAT TSV",
        b"INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x",
    ],
)
def test_insert_without_data_of_a_format_is_left_whole(body: bytes) -> None:
    assert split_insert(body) is None


@pytest.mark.parametrize("value", ["", "it's", "back\\slash", "`tick`", "new\nline", "ü", "''"])
def test_quoting_survives_the_way_there_and_back(value: str) -> None:
    for quote in (quote_string, quote_name):
        (token,) = tokens(quote(value))
        assert unquote(token) == value
