"""The CLI's way to a running processor's store."""

from __future__ import annotations

from collections import deque

import pytest

from tollway_processor.door.client import DoorClient
from tollway_processor.door.http import Door
from tollway_processor.errors import StoreError


@pytest.fixture
def client(door: Door) -> DoorClient:
    return DoorClient(door.url)


def test_query_returns_the_format_asked_for(client: DoorClient) -> None:
    assert client.query("SELECT 1 AS a", format="JSONEachRow") == b'{"a":1}\n'
    assert client.query("SELECT 1 AS a FORMAT CSVWithNames") == b'"a"\n1\n'


def test_parameters_keep_their_text(client: DoorClient) -> None:
    text = "tab\t, line\n, 'quote', back\\slash, ü"
    answer = client.query(
        "SELECT {s:String} = {t:String}, {n:Nullable(Int8)} IS NULL, {a:Array(String)}[1]",
        {"s": text, "t": text, "n": None, "a": ["it's"]},
        format="TSV",
    )
    assert answer == b"1\t1\tit\\'s\n"


def test_settings_go_with_the_statement(client: DoorClient) -> None:
    assert client.query("SELECT count() FROM spans", format="TSV", settings={"final": "0"}) == (
        b"3\n"
    )


def test_error_has_clickhouses_code_and_text(client: DoorClient) -> None:
    with pytest.raises(
        StoreError, match=r"^Code: 60\. DB::Exception: .*\(UNKNOWN_TABLE\)"
    ) as caught:
        client.query("SELECT * FROM nope")
    assert caught.value.code == 60


def test_stream_gives_all_pieces(client: DoorClient) -> None:
    pieces = [*client.stream("SELECT number FROM numbers(1000000)", format="RowBinary")]
    assert len(pieces) > 1
    assert sum(map(len, pieces)) == 8_000_000


def test_stream_that_fails_midway_raises_and_yields_no_fault_as_data(client: DoorClient) -> None:
    rows = bytearray()
    statement = "SELECT number, throwIf(number = 3000000, 'as told') FROM numbers(9000000)"
    pieces = client.stream(statement, format="TSV")
    with pytest.raises(StoreError, match="as told") as caught:
        deque(map(rows.extend, pieces), maxlen=0)
    assert caught.value.code == 395
    assert rows.startswith(b"0\t0\n1\t0\n")
    assert b"exception" not in rows


def test_absent_door_is_said_in_one_line() -> None:
    with pytest.raises(StoreError, match=r"the SQL door at http://127\.0\.0\.1:1 did not answer"):
        DoorClient("http://127.0.0.1:1").query("SELECT 1")


@pytest.mark.parametrize("url", ["", "127.0.0.1:1", "https://127.0.0.1:1", "http://127.0.0.1"])
def test_address_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="no address of a SQL door"):
        DoorClient(url)
