"""The embedded ClickHouse engine (chDB): sessions, parameters and errors, nothing of Tollway's."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import chdb

from tollway_processor.allocator import give_back_holes
from tollway_processor.errors import PermanentError, RetryableError, StoreError
from tollway_processor.store.config import MIB

# ClickHouse codes whose cause can go away by itself: limits on threads, disk, memory and time,
# and a file system that failed (74 read, 75 write, 76 open, 243 disk full).
RETRYABLE_CODES = frozenset(
    {74, 75, 76, 159, 202, 209, 210, 236, 241, 242, 243, 252, 394, 425, 439}
)
SESSION_SETTINGS = (
    "SET output_format_json_quote_decimals = 1, output_format_json_quote_denormals = 1, "
    "output_format_json_quote_64bit_integers = 0"
)
# A cache left alone may grow to gigabytes and is counted against the cap by then. These suit some
# million spans; what does not fit is read again from the system's page cache.
_CACHES = {
    "mark_cache_size": 32 * MIB,
    "index_mark_cache_size": 8 * MIB,
    "primary_index_cache_size": 32 * MIB,
    "uncompressed_cache_size": 0,
    "index_uncompressed_cache_size": 0,
    "query_condition_cache_size": 8 * MIB,
    "compiled_expression_cache_size": 16 * MIB,
}
_MESSAGE_CHARACTERS = 390
_STATEMENT_SHARE = 2  # one statement may take half of the cap: a roll-up must not starve commits
_MERGES_SHARE = 3  # merges may take a third of the cap; they start later rather than fail inserts
_JEMALLOC = "SELECT value FROM system.build_options WHERE name = 'USE_JEMALLOC'"
_CODE = re.compile(r"Code: (\d+)\.")


def literal(value: object) -> str:
    """Return a query parameter's text in ClickHouse's escaped (TSV) form.

    str, int, float, bool, None, bytes (as UTF-8) and flat lists or tuples of those.
    """
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_quoted(item) for item in value) + "]"
    return _escaped(str(value))


def _escaped(text: str) -> str:
    for raw, escaped in (
        ("\\", "\\\\"),
        ("\n", "\\n"),
        ("\t", "\\t"),
        ("\r", "\\r"),
        ("\0", "\\0"),
    ):
        text = text.replace(raw, escaped)
    return text


def _quoted(item: object) -> str:
    if isinstance(item, str):
        return "'" + _escaped(item).replace("'", "\\'") + "'"
    return literal(item)


# What the Protobuf reader says of bytes that it cannot take.
_DECODE_CODES = frozenset({32, 33, 36, 436, 444})


def undecodable(error: StoreError) -> PermanentError | RetryableError:
    """Return what a failed ingest statement means for the senders of its batch.

    Only the decoder's own codes condemn a request; any other failure is ours, and their spans
    are worth a retry.
    """
    if error.code in _DECODE_CODES:
        return PermanentError(f"the engine cannot decode the request: {error}")
    return RetryableError(f"the store failed: {error}", delay_s=5.0)


def store_error(error: Exception) -> StoreError | RetryableError:
    """Return the Tollway error for one of chDB's, by its ClickHouse code."""
    message = str(error).split("\n")[0]
    found = _CODE.search(message)
    code = int(found.group(1)) if found else 0
    if len(message) > _MESSAGE_CHARACTERS:  # the engine quotes whole expressions; names come last
        message = f"{message[: _MESSAGE_CHARACTERS - 100]} … {message[-90:]}"
    if code in RETRYABLE_CODES:
        return RetryableError(message)
    return StoreError(message, code=code)


def _server_settings(memory_bytes: int) -> dict[str, int]:
    """Return the engine's settings that hold for the process; chDB takes them with the path."""
    return {
        "max_server_memory_usage": memory_bytes,
        "merges_mutations_memory_usage_soft_limit": memory_bytes // _MERGES_SHARE,
        **_CACHES,
    }


class Engine:
    """Sessions on one chDB path (":memory:" for none); any thread may use it.

    Idle sessions are pooled: opening one costs 0.3 ms, a statement 2 ms. Beyond `memory_bytes`,
    which statements, merges and caches share, statements fail with RetryableError.
    """

    def __init__(self, path: str, *, memory_bytes: int = 320 * MIB) -> None:
        self.path = path
        self._session_settings = (
            f"{SESSION_SETTINGS}, max_memory_usage = {memory_bytes // _STATEMENT_SHARE}"
        )
        self._arguments = urlencode(_server_settings(memory_bytes))
        self._idle: list[Any] = []
        self._busy = 0
        self._closed = False
        self._state = threading.Condition()
        self._keeper = self._connect()
        self._has_jemalloc = run(self._keeper, _JEMALLOC, None, "TSV").strip() in (b"1", b"ON")

    def _connect(self) -> Any:
        try:
            return chdb.connect(f"{self.path}?{self._arguments}")  # type: ignore[no-untyped-call]  # chDB's types stop here
        except Exception as error:  # chDB raises RuntimeError and its own class alike
            if "already initialized with path" in str(error):
                raise StoreError(
                    f"this process has another store open; close it before {self.path} (the "
                    "engine takes one path a process)"
                ) from error
            raise store_error(error) from error

    @contextmanager
    def session(self, *, fresh: bool = False) -> Iterator[Any]:
        """Lend one session; a `fresh` one is made for this use and thrown away after it."""
        with self._state:
            if self._closed:
                raise RetryableError("the store is closing")
            self._busy += 1
            connection = None if fresh or not self._idle else self._idle.pop()
        try:
            if connection is None:
                connection = self._connect()
                if not fresh:
                    run(connection, self._session_settings, None, "Null")
            yield connection
        finally:
            with self._state:
                if not fresh and connection is not None and not self._closed:
                    self._idle.append(connection)
                    connection = None
                self._busy -= 1
                self._state.notify_all()
            if connection is not None:
                connection.close()

    def query(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        format: str = "JSONCompact",
        settings: Mapping[str, str] | None = None,
        readonly: bool = False,
    ) -> bytes:
        """Run one statement; see Store.query."""
        fresh = bool(settings) or readonly
        with self.session(fresh=fresh) as connection:
            prepare(connection, settings, readonly)
            return run(connection, sql, parameters, format)

    def stream(
        self, sql: str, *, format: str, settings: Mapping[str, str] | None = None
    ) -> Iterator[bytes]:
        """Yield a read-only SELECT's result in pieces."""
        with self.session(fresh=True) as connection:
            prepare(connection, settings, True)
            try:
                for piece in connection.send_query(sql, format):
                    yield piece.bytes()
            except Exception as error:
                raise store_error(error) from error

    def give_back_memory(self) -> None:
        """Return freed pages to the system at once (0.3 ms); the cap does not count them.

        Left alone the engine's allocator keeps some 200 MiB of them under load, and the process's
        own, which had the bodies, some more.
        """
        give_back_holes()
        if self._has_jemalloc:
            self.query("SYSTEM JEMALLOC PURGE", format="Null")

    def close(self) -> None:
        """Wait for running statements, then close every session (a running one would crash)."""
        with self._state:
            self._closed = True
            self._state.wait_for(lambda: self._busy == 0)
            connections = [*self._idle, self._keeper]
            self._idle.clear()
        for connection in connections:
            connection.close()


def prepare(connection: Any, settings: Mapping[str, str] | None, readonly: bool) -> None:
    """Apply settings to a session and lock it for reading; the lock cannot be undone."""
    for name, value in (settings or {}).items():
        if not name.replace("_", "").isalnum():
            raise StoreError(f"Code: 115. DB::Exception: Unknown setting '{name}'", code=115)
        run(connection, f"SET {name} = {_quoted(value)}", None, "Null")
    if readonly:
        run(connection, "SET readonly = 1", None, "Null")


def run(connection: Any, sql: str, parameters: Mapping[str, object] | None, format: str) -> bytes:
    """Run one statement on a session and return the bytes of its result.

    Raises RetryableError for causes that can pass, StoreError (with its code) otherwise.
    """
    texts = {name: literal(value) for name, value in (parameters or {}).items()}
    try:
        return bytes(connection.query(sql, format, texts or None).bytes())
    except Exception as error:  # chDB raises RuntimeError and its own class alike
        raise store_error(error) from error


def split_columns(names: Sequence[str]) -> str:
    """Return a column list for an INSERT, each name quoted."""
    return ", ".join(f"`{name}`" for name in names)
