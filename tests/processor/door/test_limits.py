"""Statements that would take the machine: cut by caps, and ended when nobody reads them."""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from tollway_processor.door.client import DoorClient
from tollway_processor.door.http import Door
from tollway_processor.door.query import Reader, Request
from tollway_processor.door.running import Statements
from tollway_processor.door.session import Limits
from tollway_processor.errors import StoreError

ENDLESS = "SELECT sum(cityHash64(number)) FROM numbers(1000000000000)"
TIGHT = Limits(
    max_execution_time=1, max_memory_usage=64 * 1024 * 1024, max_result_bytes=1024 * 1024
)


@pytest.fixture(scope="module")
def tight(store: Any, serve: Any) -> Iterator[DoorClient]:
    with serve(Door(store, limits=TIGHT)) as door:
        yield DoorClient(door.url)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        (ENDLESS, 159),
        ("SELECT count() FROM numbers(1000000) AS a, numbers(1000000) AS b", 159),
        ("WITH RECURSIVE x AS (SELECT 1 AS a UNION ALL SELECT a FROM x) SELECT max(a) FROM x", 0),
        ("SELECT groupArray(number) FROM numbers(100000000)", 241),
        (
            "SELECT * FROM numbers(1000000000) ORDER BY cityHash64(number) SETTINGS max_threads = 1",
            0,  # memory, or time on a machine that is busy
        ),
        ("SELECT length(repeat('x', 1000000000))", 0),
        ("SELECT range(100000000)", 0),
        ("SELECT number, repeat('x', 100) FROM numbers(1000000)", 396),
        ("SELECT " + "(" * 2000 + "1" + ")" * 2000, 0),
        ("SELECT " + "1 + " * 60000 + "1", 0),
    ],
    ids=[
        "time",
        "join",
        "recursion",
        "memory",
        "sort",
        "repeat",
        "range",
        "result",
        "depth",
        "length",
    ],
)
def test_bombs_end_in_an_error(tight: DoorClient, statement: str, code: int) -> None:
    started_s = time.monotonic()
    with pytest.raises(StoreError) as caught:
        tight.query(statement)
    assert code in {0, caught.value.code}
    assert ("raise sql.memory_bytes" in str(caught.value)) == (caught.value.code == 241)
    assert time.monotonic() - started_s < 15
    assert tight.query("SELECT 1", format="TSV") == b"1\n"


def running(door: Door | None, store: Any) -> int:
    """Count the statements that the engine is running for the door."""
    counted = store.engine.query(
        "SELECT count() FROM system.processes WHERE query LIKE '%1000000000000%'"
        " AND Settings['log_comment'] LIKE 'tollway-door-%'",
        format="TSV",
    )
    return int(counted)


def wait_for(door: Door | None, store: Any, count: int) -> None:
    deadline_s = time.monotonic() + 20
    while running(door, store) != count:
        assert time.monotonic() < deadline_s, f"{running(door, store)} run, not {count}"


def test_statement_ends_when_its_client_is_gone(door: Door, store: Any) -> None:
    address = urlsplit(door.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 0)
    connection.request("POST", "/", ENDLESS)
    wait_for(door, store, 1)
    connection.close()
    wait_for(door, store, 0)


def test_stream_ends_when_its_reader_leaves_midway(door: Door, store: Any) -> None:
    pieces = DoorClient(door.url).stream("SELECT * FROM numbers(1000000000000)", format="TSV")
    assert next(pieces).startswith(b"0\n1\n2\n")
    wait_for(door, store, 1)
    pieces.close()  # type: ignore[attr-defined]  # it is a generator
    wait_for(door, store, 0)


async def test_statement_ends_also_when_its_handler_is_cancelled_while_it_ends_it(
    store: Any,
) -> None:
    gate = threading.Event()

    @contextmanager
    def session() -> Iterator[Any]:
        """Lend a session, to what kills statements once the gate is open."""
        if threading.current_thread().name.startswith("sql-door-kill"):
            assert gate.wait(20)
        with store.session() as lent:
            yield lent

    reader = Reader(session, Limits())
    statements = Statements(session, at_once=2, waiting=0)
    work = partial(reader.run, Request(ENDLESS.encode()))
    running_ones = [await statements.start(work) for _ in range(2)]
    await asyncio.to_thread(wait_for, None, store, 2)
    ending = [asyncio.create_task(statements.end(one)) for one in running_ones]
    await asyncio.sleep(0)
    for task in ending:
        task.cancel()
    await asyncio.wait(ending)
    gate.set()
    await asyncio.to_thread(wait_for, None, store, 0)
    await statements.stop()


async def test_stop_ends_what_runs(store: Any) -> None:
    door = Door(store)
    await door.start()
    asked = asyncio.create_task(asyncio.to_thread(DoorClient(door.url).query, ENDLESS))
    await asyncio.to_thread(wait_for, door, store, 1)
    await asyncio.wait_for(door.stop(), 10)
    with pytest.raises(StoreError):
        await asked
    assert running(door, store) == 0


async def test_statements_beyond_the_queue_are_refused(store: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("tollway_processor.door.http._WAITING", 0)
    door = Door(store, at_once=1)
    await door.start()
    try:
        first = asyncio.create_task(asyncio.to_thread(DoorClient(door.url).query, ENDLESS))
        await asyncio.to_thread(wait_for, door, store, 1)
        with pytest.raises(StoreError) as caught:
            await asyncio.to_thread(DoorClient(door.url).query, "SELECT 1")
        assert caught.value.code == 202
    finally:
        await door.stop()
    with pytest.raises(StoreError):
        await first
