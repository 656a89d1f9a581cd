"""The real clickhouse-connect through the read-only door."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlsplit

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

from tollway_processor.door.http import Door

BIG = 400_000  # rows: some megabytes, so that the answer goes out in pieces
Connect = Callable[..., Client]


@pytest.fixture
def connect(door: Door) -> Iterator[Connect]:
    address = urlsplit(door.url)
    made: list[Client] = []

    def get(**options: object) -> Client:
        made.append(
            clickhouse_connect.get_client(
                host=address.hostname,
                port=address.port or 0,
                **options,  # type: ignore[arg-type]  # whatever get_client takes
            )
        )
        return made[-1]

    yield get
    for client in made:
        client.close()


@pytest.fixture
def client(connect: Connect) -> Client:
    return connect()


def test_query_gives_typed_rows_deduplicated(client: Client) -> None:
    rows = client.query("SELECT trace_id, cost FROM spans ORDER BY trace_id").result_rows
    assert rows == [("a", Decimal("0.75")), ("b", Decimal("0.5"))]


def test_client_can_ask_for_rows_as_they_were_written(client: Client) -> None:
    assert client.query("SELECT count() FROM spans", settings={"final": 0}).result_rows == [(3,)]
    assert client.query("SELECT count() FROM spans SETTINGS final = 0").result_rows == [(3,)]


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip", "deflate"])
def test_large_answer_arrives_whole_in_each_encoding(connect: Connect, compress: object) -> None:
    client = connect(compress=compress)
    result = client.query(f"SELECT number, toString(number) FROM numbers({BIG})")
    assert result.row_count == BIG
    assert result.result_rows[-1] == (BIG - 1, str(BIG - 1))


def test_small_answer_arrives_whole_when_compressed(connect: Connect) -> None:
    assert connect(compress="lz4").query("SELECT 'x' AS x").result_rows == [("x",)]


@pytest.mark.parametrize("is_form", [False, True])
def test_parameters_are_bound_by_the_server(connect: Connect, is_form: bool) -> None:
    text = "tab\t, line\n, 'quote', back\\slash, {x:y}, ü"
    result = connect(form_encode_query_params=is_form).query(
        "SELECT {s:String}, {n:Nullable(Int32)}, {a:Array(String)}, {at:DateTime64(3)}, "
        "count() FROM {table:Identifier}",
        parameters={
            "s": text,
            "n": None,
            "a": ["it's", "b"],
            "at": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
            "table": "spans",
        },
    )
    s, n, a, at, count = result.result_rows[0]
    assert (s, n, list(a), count) == (text, None, ["it's", "b"], 2)
    assert at.replace(tzinfo=UTC) == datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def test_long_list_of_parameters_fits_into_the_url(client: Client) -> None:
    wanted = [f"{number:032x}" for number in range(2000)]
    statement = "SELECT length({ids:Array(String)})"
    assert client.query(statement, parameters={"ids": wanted}).result_rows == [(2000,)]


def test_parameters_are_bound_by_the_client(client: Client) -> None:
    rows = client.query("SELECT %(s)s, %(n)s", parameters={"s": "it's", "n": 7}).result_rows
    assert rows == [("it's", 7)]


def test_arrow_table(client: Client) -> None:
    table = client.query_arrow("SELECT number AS n, toString(number) AS s FROM numbers(1000)")
    assert table.num_rows == 1000
    assert table.column("n")[999].as_py() == 999


def test_data_frame_and_stream_of_data_frames(client: Client) -> None:
    frame = client.query_df("SELECT trace_id, toFloat64(cost) AS cost FROM spans ORDER BY cost")
    assert list(frame["cost"]) == [0.5, 0.75]
    with client.query_df_stream(f"SELECT number FROM numbers({BIG})") as frames:
        assert sum(len(frame) for frame in frames) == BIG


def test_stream_of_rows(client: Client) -> None:
    with client.query_rows_stream(f"SELECT number FROM numbers({BIG})") as rows:
        assert sum(row[0] for row in rows) == BIG * (BIG - 1) // 2


@pytest.mark.parametrize("output", ["TSV", "JSONEachRow", "CSVWithNames", "Parquet", "Pretty"])
def test_raw_query_gives_one_whole_document_in_each_format(client: Client, output: str) -> None:
    statement = f"SELECT number AS n FROM numbers({BIG})"
    whole = client.raw_query(statement, fmt=output)
    streamed = client.raw_stream(statement, fmt=output).read()
    assert streamed == whole
    if output == "CSVWithNames":
        assert whole.count(b'"n"') == 1
    if output == "Parquet":
        assert whole.startswith(b"PAR1")
        assert whole.endswith(b"PAR1")


def test_column_names_without_rows(client: Client) -> None:
    result = client.query("SELECT trace_id, cost FROM spans LIMIT 0")
    assert result.column_names == ("trace_id", "cost")


def test_command_returns_a_value(client: Client) -> None:
    assert client.command("SELECT count() FROM spans") == 2
    assert client.command("EXISTS TABLE spans") == 1
    assert "ReplacingMergeTree" in str(client.command("SHOW CREATE TABLE spans"))


def test_summary_counts_what_was_read(client: Client) -> None:
    summary = client.query("SELECT sum(number) FROM numbers(1000)").summary
    assert summary["read_rows"] == "1000"
    assert summary["result_rows"] == "1"
    assert summary["query_id"]


def test_settings_of_the_client_count(connect: Connect) -> None:
    client = connect(settings={"session_timezone": "Asia/Tokyo", "max_threads": 1})
    assert client.command("SELECT timezone(), getSetting('max_threads')") == ["Asia/Tokyo", "1"]


@pytest.mark.parametrize(
    ("statement", "code", "name"),
    [
        ("SELECT nope FROM spans", 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT 1 FROM nope", 60, "UNKNOWN_TABLE"),
        ("SELEC 1", 62, "SYNTAX_ERROR"),
        ("SELECT nope(1)", 46, "UNKNOWN_FUNCTION"),
        ("SELECT throwIf(1, 'as told')", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("INSERT INTO spans VALUES ('c', 1, 1, 1)", 164, "READONLY"),
        ("SELECT {missing:String}", 456, "UNKNOWN_QUERY_PARAMETER"),
    ],
)
def test_errors_carry_code_and_name(client: Client, statement: str, code: int, name: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.query(statement)
    assert caught.value.code == code
    assert caught.value.name == name


def test_error_midway_breaks_the_stream_with_its_message(client: Client) -> None:
    statement = "SELECT throwIf(number = 3000000, 'as told') FROM numbers(9000000)"
    with (
        client.query_rows_stream(statement) as rows,
        pytest.raises(StreamFailureError, match="as told"),
    ):
        deque(rows, maxlen=0)


def test_insert_is_refused(client: Client) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.insert("spans", [["c", 1, 1, 1]], column_names=["trace_id", "cost", "at", "v"])
    assert caught.value.code == 164


def test_ping(client: Client) -> None:
    assert client.ping()


async def test_async_client(door: Door) -> None:
    address = urlsplit(door.url)
    client = await clickhouse_connect.get_async_client(
        host=address.hostname, port=address.port or 0
    )
    try:
        result = await client.query(f"SELECT number FROM numbers({BIG})")
        assert result.row_count == BIG
    finally:
        await client.close()
