"""The real schema behind the read-only SQL door."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tollway_processor.door.client import DoorClient
from tollway_processor.door.http import Door
from tollway_processor.store.embedded import EmbeddedStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """An embedded store for one module: one process can hold only one at a time."""
    opened = EmbeddedStore(tmp_path_factory.mktemp("store"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def reader(store: EmbeddedStore) -> Iterator[DoorClient]:
    """A client of the door in front of the store."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    door = Door(store)
    asyncio.run_coroutine_threadsafe(door.start(), loop).result(20)
    yield DoorClient(door.url)
    asyncio.run_coroutine_threadsafe(door.stop(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()
