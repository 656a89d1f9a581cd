"""A writable door as the ClickHouse server of the real clickhouse-connect."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import clickhouse_connect
import pandas as pd
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, ProgrammingError

from tollway_processor.door.http import Door

Connect = Callable[..., Client]


@pytest.fixture
def connect(writable: Door) -> Iterator[Connect]:
    address = urlsplit(writable.url)
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


@pytest.fixture
def table(client: Client) -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex}"
    client.command(
        f"CREATE TABLE {name} (n UInt64, s String, at DateTime64(9), tags Array(String),"
        " attributes Map(LowCardinality(String), String), cost Nullable(Decimal(18, 6)))"
        " ENGINE = MergeTree ORDER BY n"
    )
    yield name
    client.command(f"DROP TABLE {name}")


ROW = [7, "line\nand\ttab", datetime(2026, 1, 2, 3, 4, 5), ["a", "b"], {"k": "v"}, 0.25]


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_insert_keeps_every_type(connect: Connect, table: str, compress: object) -> None:
    client = connect(compress=compress)
    summary = client.insert(table, [ROW, [8, "", datetime(2026, 1, 1), [], {}, None]])
    assert summary.written_rows == 2
    rows = client.query(f"SELECT * FROM {table} ORDER BY n").result_rows
    assert rows[0][:2] == (7, "line\nand\ttab")
    assert rows[0][2].replace(tzinfo=UTC) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert [list(rows[0][3]), rows[0][4], float(rows[0][5])] == [["a", "b"], {"k": "v"}, 0.25]
    assert rows[1][5] is None


def test_insert_of_many_blocks(client: Client, table: str) -> None:
    count = 300_000
    client.insert(table, [[n, "x" * 20] for n in range(count)], column_names=["n", "s"])
    assert client.command(f"SELECT count(), sum(n) FROM {table}") == [
        str(count),
        str(count * (count - 1) // 2),
    ]


def test_insert_of_data_frame_and_arrow(client: Client, table: str) -> None:
    client.insert_df(table, pd.DataFrame({"n": [1, 2], "s": ["a", "b"]}))
    client.insert_arrow(table, pa.table({"n": pa.array([3], pa.uint64()), "s": ["c"]}))
    assert client.command(f"SELECT groupArray(s) FROM (SELECT s FROM {table} ORDER BY n)") == (
        "['a','b','c']"
    )


def test_raw_insert_of_binary_rows_that_begin_like_white_space(client: Client, table: str) -> None:
    # 0x0a, 0x20 and 0x0d open the row: eating more than one newline would shift every byte.
    row = (10 + (32 << 8) + (13 << 16)).to_bytes(8, "little") + b"\x01x"
    client.raw_insert(table, ["n", "s"], row, fmt="RowBinary")
    assert client.command(f"SELECT n, s FROM {table}") == [str(10 + (32 << 8) + (13 << 16)), "x"]


@pytest.mark.parametrize(
    ("fmt", "block"),
    [
        ("JSONEachRow", '{"n": 1, "s": "é"}\n{"n": 2, "s": "b"}'),
        ("CSV", '1,"é"\n2,b\n'),
        ("TSV", "1\té\n2\tb\n"),
        ("Values", "(1, 'é'), (1 + 1, 'b')"),
    ],
)
def test_raw_insert_of_text(client: Client, table: str, fmt: str, block: str) -> None:
    client.raw_insert(table, ["n", "s"], block, fmt=fmt)
    client.raw_insert(table, ["n", "s"], block.encode(), fmt=fmt)
    packed = gzip.compress(block.encode())
    client.raw_insert(table, ["n", "s"], packed, fmt=fmt, compression="gzip")
    expected = [(1, "é", 3), (2, "b", 3)]
    rows = client.query(f"SELECT n, s, count() FROM {table} GROUP BY n, s ORDER BY n").result_rows
    assert rows == expected


def test_native_block_goes_out_and_in_unchanged(client: Client, table: str) -> None:
    block = client.raw_query(
        "SELECT number AS n, toString(number) AS s FROM numbers(9)", fmt="Native"
    )
    client.raw_insert(table, ["n", "s"], block, fmt="Native")
    again = client.raw_query(f"SELECT n, s FROM {table} ORDER BY n", fmt="Native")
    assert again == block


def test_same_token_stores_a_block_once(client: Client, table: str) -> None:
    client.command(f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 100")
    block = '{"n": 1}'
    for token in ("one", "one", "two"):
        client.raw_insert(
            table, ["n"], block, fmt="JSONEachRow", settings={"insert_deduplication_token": token}
        )
    assert client.command(f"SELECT count() FROM {table}") == 2


def test_insert_statements_of_every_form(client: Client, table: str) -> None:
    client.command(f"INSERT INTO {table} (n, s) VALUES (1, 'a'), (2, 'FORMAT TSV')")
    client.command(f"INSERT INTO {table} (n) SELECT number + 3 FROM numbers(2)")
    client.command(f"INSERT INTO {table} (n) SETTINGS async_insert = 1 FORMAT TSV", data="5\n6\n")
    client.command(f"INSERT INTO {table} (n) FORMAT CSV\n7\n8\n")
    client.command(f"INSERT INTO {table} (n) SELECT {{n:UInt64}}", parameters={"n": 9})
    assert client.command(f"SELECT groupArray(n) FROM (SELECT n FROM {table} ORDER BY n)") == (
        "[1,2,3,4,5,6,7,8,9]"
    )


def test_async_insert_setting_is_taken(client: Client, table: str) -> None:
    settings = {"async_insert": 1, "wait_for_async_insert": 1}
    client.insert(table, [[1]], column_names=["n"], settings=settings)
    assert client.command(f"SELECT count() FROM {table}") == 1


def test_bad_rows_name_the_fault_and_store_nothing(client: Client, table: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.raw_insert(table, ["n"], "1\nnot a number\n", fmt="TSV")
    assert caught.value.code == 27
    assert client.command(f"SELECT count() FROM {table}") == 0


def test_session_keeps_settings_and_temporary_tables(connect: Connect) -> None:
    first, second = connect(session_id=uuid.uuid4().hex), connect(session_id=uuid.uuid4().hex)
    first.command("CREATE TEMPORARY TABLE mine (a UInt8)")
    first.command("INSERT INTO mine VALUES (1)")
    first.command("SET max_threads = 3")
    assert first.command("SELECT sum(a), getSetting('max_threads') FROM mine") == ["1", "3"]
    with pytest.raises(DatabaseError) as caught:
        second.command("SELECT sum(a) FROM mine")
    assert caught.value.code == 60


def test_settings_of_one_statement_do_not_stay_in_its_session(client: Client) -> None:
    client.command("SET max_threads = 3")
    assert client.command("SELECT getSetting('max_threads')", settings={"max_threads": 2}) == 2
    assert client.command("SELECT getSetting('max_threads')") == 3


def test_database_of_the_client_is_the_statements(connect: Connect) -> None:
    connect().command("CREATE DATABASE IF NOT EXISTS other")
    client = connect(database="other")
    assert client.command("SELECT currentDatabase()") == "other"
    client.command("DROP DATABASE other")
    with pytest.raises(DatabaseError):
        connect(database="nowhere").command("SELECT 1")


def test_unknown_setting_is_refused(connect: Connect) -> None:
    with pytest.raises((DatabaseError, ProgrammingError), match="max_thread5"):
        connect().command("SELECT 1", settings={"max_thread5": 1})


def test_several_statements_are_refused(client: Client) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.command("CREATE TABLE a1 (a UInt8) ENGINE = Memory; DROP TABLE spans")
    assert caught.value.code == 62
    assert client.command("EXISTS TABLE spans") == 1


def test_ddl_that_fails_says_so(client: Client) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.command("DROP TABLE nope")
    assert caught.value.code == 60
