"""Where the reading commands read: a running processor's SQL door, else the store itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from tollway_processor import questions, schema_files
from tollway_processor.config import Config
from tollway_processor.errors import StoreHeldError, UsageError
from tollway_processor.store import lock
from tollway_processor.store.client import Parameters, Store
from tollway_processor.store.opening import folder_of, open_store

SETTINGS = {**questions.SETTINGS, "output_format_json_quote_decimals": "1"}
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Reader(Protocol):
    """Runs SELECTs."""

    def query(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        format: str = "JSON",
        settings: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return a SELECT's result in a ClickHouse format."""


class StoreReader:
    """Reads a store that this process holds."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def query(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        format: str = "JSON",
        settings: Mapping[str, str] | None = None,
    ) -> bytes:
        """See Reader.query."""
        return self._store.query(
            sql, parameters, format=format, settings=settings or SETTINGS, readonly=True
        )


@contextmanager
def reader(config: Config) -> Iterator[Reader]:
    """Lend a reader of the configured store.

    Raises UsageError when there is no such store, StoreHeldError when another process holds it
    and has no door.
    """
    folder = folder_of(config.store)
    held = lock.holder(folder) if folder is not None else None
    if held is not None:
        if not held.get("sql"):
            raise StoreHeldError(
                f"the store {folder} is held by another process (pid {held.get('pid', 'unknown')}) "
                "without a SQL door; wait for it to start, or stop it"
            )
        from tollway_processor.door.client import DoorClient

        yield DoorClient(held["sql"], password=config.sql.password)
        return
    store = open_store(config.store, must_exist=True)
    try:
        yield StoreReader(store)
    finally:
        store.close()


def ask(source: Reader, name: str, parameters: Parameters) -> list[dict[str, Any]]:
    """Return the rows of schemas/queries/NAME.sql; Decimals as text."""
    return rows(source, schema_files.text(f"queries/{name}.sql"), parameters)


def rows(source: Reader, sql: str, parameters: Parameters) -> list[dict[str, Any]]:
    """Return a SELECT's rows by column name; Decimals as text."""
    result = source.query(sql, parameters, format="JSON", settings=SETTINGS)
    return list(json.loads(result)["data"]) if result else []


def since_s(text: str | None) -> int:
    """Return the start (s since 1970, UTC) of a span of time such as 90m, 24h, 7d; 0 for none."""
    if not text:
        return 0
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS_S or not number.isdigit():
        raise UsageError(f"--since {text}: give a number and s, m, h, d or w, for instance 7d")
    return max(int(time.time()) - int(number) * _UNITS_S[unit], 0)
