"""The door's HTTP as curl and other plain clients meet it, byte by byte."""

from __future__ import annotations

import asyncio
import base64
import gzip
import http.client
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import lz4.frame
import pytest
import zstandard

from tollway_processor.door.http import Door
from tollway_processor.errors import RetryableError, UsageError


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    door: Door,
    body: bytes | str | None = None,
    *,
    method: str = "POST",
    path: str = "/",
    headers: dict[str, str] | None = None,
    **parameters: object,
) -> Answer:
    address = urlsplit(door.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 0, timeout=30)
    try:
        target = f"{path}?{urlencode(parameters)}" if parameters else path
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        return Answer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/", "/ping", "/replicas_status"])
def test_health_paths_say_ok(door: Door, path: str) -> None:
    assert ask(door, method="GET", path=path)[::2] == (200, b"Ok.\n")


def test_unknown_path_is_not_found(door: Door) -> None:
    answer = ask(door, method="GET", path="/nope")
    assert answer.status == 404
    assert b"There is no handle /nope" in answer.body


def test_statement_comes_by_url_by_body_or_by_both(door: Door) -> None:
    assert ask(door, method="GET", query="SELECT 1").body == b"1\n"
    assert ask(door, "SELECT 1").body == b"1\n"
    assert ask(door, " + 1", query="SELECT 1").body == b"2\n"


def test_format_is_the_statements_then_the_urls_then_the_headers(door: Door) -> None:
    header = {"X-ClickHouse-Format": "CSV"}
    assert ask(door, "SELECT 'a'").body == b"a\n"
    assert ask(door, "SELECT 'a'", headers=header).body == b'"a"\n'
    assert ask(door, "SELECT 'a'", headers=header, default_format="Values").body == b"('a')"
    assert ask(door, "SELECT 'a' FORMAT TSKV", default_format="CSV").body == b"'a'=a\n"


def test_headers_tell_format_query_and_counts(door: Door) -> None:
    answer = ask(door, "SELECT number FROM numbers(3) FORMAT JSON", query_id="mine-1")
    assert answer.headers["x-clickhouse-format"] == "JSON"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-clickhouse-query-id"] == "mine-1"
    assert answer.headers["x-clickhouse-timezone"]
    assert answer.headers["x-clickhouse-server-display-name"]
    summary = json.loads(answer.headers["x-clickhouse-summary"])
    assert (summary["result_rows"], summary["read_rows"]) == ("3", "3")
    assert json.loads(answer.body)["rows"] == 3


def test_error_has_status_code_header_and_text(door: Door) -> None:
    answer = ask(door, "SELECT nope")
    assert answer.status == 404
    assert answer.headers["x-clickhouse-exception-code"] == "47"
    assert answer.body.startswith(b"Code: 47. DB::Exception: Unknown expression identifier `nope`")
    assert b"(UNKNOWN_IDENTIFIER) (version " in answer.body


@pytest.mark.parametrize(
    ("statement", "status", "code"),
    [
        ("SELEC", 400, "62"),
        ("SELECT * FROM nope", 404, "60"),
        ("SELECT * FROM nope.nope", 404, "81"),
        ("SELECT file('x')", 403, "497"),
        ("DROP TABLE spans", 500, "164"),
        ("SELECT throwIf(1)", 500, "395"),
    ],
)
def test_statuses_are_clickhouses(door: Door, statement: str, status: int, code: str) -> None:
    answer = ask(door, statement)
    assert (answer.status, answer.headers["x-clickhouse-exception-code"]) == (status, code)


@pytest.mark.parametrize("rows", [3, 400_000])
@pytest.mark.parametrize(
    ("name", "unpack"),
    [
        ("gzip", gzip.decompress),
        ("deflate", zlib.decompress),
        ("lz4", lz4.frame.decompress),
        ("zstd", lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
    ],
)
def test_answer_is_compressed_when_both_sides_want_it(
    door: Door, name: str, unpack: Callable[[bytes], bytes], rows: int
) -> None:
    statement = f"SELECT number FROM numbers({rows})"
    header = {"Accept-Encoding": f"snappy, {name};q=1"}
    plain = ask(door, statement, headers=header)
    packed = ask(door, statement, headers=header, enable_http_compression=1)
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == name
    assert len(packed.body) < len(plain.body) or rows == 3
    assert unpack(packed.body) == plain.body


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("lz4", lz4.frame.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
    ],
)
def test_statement_may_come_compressed(
    door: Door, name: str, pack: Callable[[bytes], bytes]
) -> None:
    header = {"Content-Encoding": name}
    assert ask(door, pack(b"SELECT 1"), headers=header).body == b"1\n"
    parts = pack(b"SELECT 1 ") + pack(b"+ 1")
    if name != "deflate":
        assert ask(door, parts, headers=header).body == b"2\n"
    for broken in (b"SELECT 1", pack(b"SELECT 1")[:-5]):
        assert ask(door, broken, headers=header).headers["x-clickhouse-exception-code"] == "36"


def test_body_that_unpacks_beyond_the_limit_is_refused(door: Door) -> None:
    bomb = gzip.compress(b" " * (32 * 1024 * 1024))
    answer = ask(door, bomb, headers={"Content-Encoding": "gzip"})
    assert answer.headers["x-clickhouse-exception-code"] == "307"


def test_block_compression_is_refused_in_words(door: Door) -> None:
    answer = ask(door, "SELECT 1", compress=1)
    assert answer.status == 501
    assert b"enable_http_compression" in answer.body


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"max_thread5": 1}, "115"),
        ({"a b": 1}, "115"),
        ({"readonly": 0}, "164"),
        ({"dialect": "kusto"}, "164"),
        ({"format_schema": "/etc/passwd"}, "164"),
        ({"output_format_schema": "/tmp/x"}, "164"),
        ({"format_template_row": "/etc/passwd"}, "164"),
        ({"additional_result_filter": "file('/etc/passwd') = ''"}, "164"),
        ({"additional_table_filters": "{'spans': 'file(''/etc/passwd'')=''''}"}, "164"),
        ({"format_display_secrets_in_show_and_select": 1}, "164"),
        ({"max_untracked_memory": 10**12}, "164"),
        ({"max_execution_time": 0}, "452"),
        ({"max_execution_time": 10**6}, "452"),
        ({"max_memory_usage": 0}, "452"),
        ({"max_memory_usage": "100G"}, "452"),
        ({"max_threads": 1000}, "452"),
        ({"max_threads": "nonsense"}, "27"),
    ],
)
def test_settings_out_of_reach_are_refused(
    door: Door, parameters: dict[str, object], code: str
) -> None:
    answer = ask(door, "SELECT * FROM spans", **parameters)
    assert answer.headers.get("x-clickhouse-exception-code") == code, answer


def test_open_settings_are_taken(door: Door) -> None:
    parameters = {"max_threads": 1, "max_execution_time": "0.5", "session_timezone": "Asia/Tokyo"}
    statement = "SELECT timezone(), getSetting('max_threads'), getSetting('max_execution_time')"
    assert ask(door, statement, readonly=2, **parameters).body == b"Asia/Tokyo\t1\t0.5\n"


def test_system_as_the_database_does_not_open_its_tables(door: Door) -> None:
    header = {"X-ClickHouse-Database": "system"}
    assert ask(door, "SELECT dummy FROM one", headers=header).body == b"0\n"
    for answer in (
        ask(door, "SELECT * FROM processes", headers=header),
        ask(door, "SELECT * FROM processes", database="system"),
        ask(door, "WITH processes AS (SELECT 1) SELECT * FROM processes", database="system"),
        ask(door, "SELECT * FROM {t:Identifier}", param_t="system.processes"),
        ask(door, "SELECT * FROM {d:Identifier}.{t:Identifier}", param_d="system", param_t="users"),
        ask(door, "SELECT * FROM {t:Identifier}", param_t="processes", database="system"),
    ):
        assert answer.status >= 400
        assert answer.headers["x-clickhouse-exception-code"] in {"497", "60"}


def test_unknown_database_is_named(door: Door) -> None:
    assert ask(door, "SELECT 1", database="nope").headers["x-clickhouse-exception-code"] == "81"


def test_page_with_a_name_of_its_own_for_loopback_is_refused(door: Door) -> None:
    port = urlsplit(door.url).port
    assert ask(door, "SELECT 1", headers={"Host": f"rebound.example:{port}"}).status == 403
    assert ask(door, "SELECT 1", headers={"Host": f"localhost:{port}"}).status == 200


def test_get_reads_only_on_a_writable_door(writable: Door) -> None:
    answer = ask(writable, method="GET", query="CREATE TABLE got (a Int8) ENGINE = Memory")
    assert answer.headers["x-clickhouse-exception-code"] == "164"
    assert ask(writable, "EXISTS TABLE got").body == b"0\n"
    assert ask(writable, method="GET", query="SELECT 1").body == b"1\n"


def test_session_rules_are_clickhouses(writable: Door) -> None:
    missing = ask(writable, "SELECT 1", session_id="never", session_check=1)
    assert missing.headers["x-clickhouse-exception-code"] == "372"
    ask(writable, "CREATE TEMPORARY TABLE t (a Int8)", session_id="s", session_timeout=60)
    assert ask(writable, "EXISTS TEMPORARY TABLE t", session_id="s", session_check=1).body == b"1\n"
    ask(writable, "SELECT 1", session_id="brief", session_timeout=0)
    gone = ask(writable, "SELECT 1", session_id="brief", session_check=1)
    assert gone.headers["x-clickhouse-exception-code"] == "372"


def test_session_serves_one_statement_at_a_time(writable: Door) -> None:
    statement = "SELECT sum(cityHash64(number)) FROM numbers(7000000000000)"
    slow = threading.Thread(target=ask, args=(writable, statement), kwargs={"session_id": "busy"})
    slow.start()
    deadline_s = time.monotonic() + 20
    listed = "SELECT count() FROM system.processes WHERE query LIKE '%7000000000000%'"
    while ask(writable, f"{listed} AND query NOT LIKE '%processes%'").body != b"1\n":
        assert time.monotonic() < deadline_s
    answer = ask(writable, "SELECT 1", session_id="busy")
    ask(writable, "KILL QUERY WHERE query LIKE '%7000000000000%' AND query NOT LIKE '%KILL%' SYNC")
    slow.join()
    assert answer.headers["x-clickhouse-exception-code"] == "373"


async def test_password_is_asked_for_in_each_of_clickhouses_ways(store: object) -> None:
    door = Door(store, password="pass:word")
    await door.start()
    try:
        basic = base64.b64encode(b"default:pass:word").decode()
        for headers, parameters, status in (
            ({}, {}, 403),
            ({"X-ClickHouse-Key": "wrong"}, {}, 403),
            ({"Authorization": "Basic !"}, {}, 403),
            ({"X-ClickHouse-Key": "pass:word"}, {}, 200),
            ({"Authorization": f"Basic {basic}"}, {}, 200),
            ({}, {"password": "pass:word"}, 200),
        ):
            answer = await _in_thread(door, headers, parameters)
            assert answer.status == status, (headers, parameters)
        assert answer.body == b"1\n"
    finally:
        await door.stop()


async def _in_thread(door: Door, headers: dict[str, str], parameters: dict[str, object]) -> Answer:

    return await asyncio.to_thread(ask, door, "SELECT 1", headers=headers, **parameters)


async def test_busy_port_names_the_flag(store: object) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"--sql {address}: the port is in use"):
            await Door(store, address).start()


async def test_malformed_address_names_the_flag(store: object) -> None:
    with pytest.raises(UsageError, match="--sql nonsense"):
        await Door(store, "nonsense").start()


async def test_store_without_an_engine_is_refused() -> None:
    with pytest.raises(UsageError, match="--sql needs an embedded store"):
        await Door(object()).start()


async def test_listening_for_others_without_a_password_is_logged(
    store: object, caplog: pytest.LogCaptureFixture
) -> None:
    door = Door(store, "0.0.0.0:0")
    await door.start()
    try:
        assert "answers anybody" in caplog.text
        port = urlsplit(door.url).port
        named = Door(store)
        named.url = f"http://127.0.0.1:{port}"
        assert (await _in_thread(named, {"Host": "tollway:8123"}, {})).status == 200
    finally:
        await door.stop()


async def test_closing_store_answers_unavailable(store: Any) -> None:
    class Closing:
        is_closing = False

        def session(self) -> AbstractContextManager[Any]:
            if self.is_closing:
                raise RetryableError("the store is closing")
            return store.session()

    closing = Closing()
    door = Door(closing)
    await door.start()
    try:
        closing.is_closing = True
        answer = await _in_thread(door, {}, {})
        assert (answer.status, answer.headers["x-clickhouse-exception-code"]) == (503, "236")
    finally:
        await door.stop()
