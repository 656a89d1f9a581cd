"""A SQL door on a real engine and real sockets, reading and writable, with a few rows in it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tollway_processor.door.http import Door
from tollway_processor.store.engine import Engine


class BareStore:
    """An engine without Tollway's tables: all that a door needs."""

    def __init__(self, path: Path) -> None:
        self.engine = Engine(str(path))

    def session(self) -> AbstractContextManager[Any]:
        return self.engine.session(fresh=True)


@contextmanager
def serving(door: Door) -> Iterator[Door]:
    """Run a door on an event loop of its own thread, so that blocking clients can call it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(door.start(), loop).result(20)
        try:
            yield door
        finally:
            asyncio.run_coroutine_threadsafe(door.stop(), loop).result(20)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareStore]:
    bare = BareStore(tmp_path_factory.mktemp("store"))
    for statement in (
        "CREATE TABLE spans (trace_id String, cost Decimal(18, 6), at DateTime64(9), v UInt64)"
        " ENGINE = ReplacingMergeTree(v) ORDER BY trace_id",
        "INSERT INTO spans VALUES ('a', 0.25, 1700000000, 1), ('b', 0.5, 1700000001, 1)",
        "INSERT INTO spans VALUES ('a', 0.75, 1700000000, 2)",
        "SYSTEM STOP MERGES spans",
        "CREATE TABLE spans_named (name String) ENGINE = Memory",
        "CREATE VIEW by_cost AS SELECT trace_id FROM spans WHERE cost >= {least:Float64}",
    ):
        bare.engine.query(statement, format="Null")
    yield bare
    bare.engine.close()


@pytest.fixture(scope="session")
def serve() -> Callable[[Door], AbstractContextManager[Door]]:
    """Lend `serving` to tests: conftest.py cannot be imported."""
    return serving


@pytest.fixture(scope="module")
def door(store: BareStore) -> Iterator[Door]:
    with serving(Door(store)) as running:
        yield running


@pytest.fixture(scope="module")
def writable(store: BareStore) -> Iterator[Door]:
    with serving(Door(store, writable=True)) as running:
        yield running
