"""Engine sessions of the SQL door: opening, settings, caps, locking; statements are query.py's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple, Protocol, runtime_checkable

from tollway_processor.door.faults import (
    ABORTED,
    CONSTRAINT_VIOLATION,
    READONLY,
    UNKNOWN_SETTING,
    fault,
    tidy,
)
from tollway_processor.errors import RetryableError
from tollway_processor.quoting import quote_name, quote_string


class Result(Protocol):
    """What the engine says of a finished statement."""

    def bytes(self) -> bytes: ...
    def rows_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...
    def storage_rows_read(self) -> int: ...
    def storage_bytes_read(self) -> int: ...


class EngineConnection(Protocol):
    """The engine's own session object."""

    def query(self, sql: str, output: str, params: dict[str, str] | None, /) -> Result: ...


Connect = Callable[[], AbstractContextManager[EngineConnection]]
"""Lends an isolated session of the embedded engine and closes it after."""


@runtime_checkable
class Lender(Protocol):
    """A store with an engine in this process: the embedded one."""

    def session(self) -> AbstractContextManager[EngineConnection]:
        """Lend an isolated session of the engine, closed after use."""


class Connection:
    """One session of the embedded engine, its errors as StoreError; not for two threads at once."""

    def __init__(self, engine: EngineConnection) -> None:
        self._engine = engine

    def query(
        self, sql: str, output: str = "TSV", params: Mapping[str, str] | None = None
    ) -> Result:
        """Run one statement; parameters are in ClickHouse's escaped (TSV) form."""
        try:
            return self._engine.query(sql, output, dict(params) if params else None)
        except Exception as error:  # the engine raises RuntimeError and a class of its own alike
            raise tidy(error) from error


class Limits(NamedTuple):
    """What one read through the door may use; a client may ask for less, never for more."""

    max_execution_time: int = 120
    """Seconds that a statement may run."""
    max_memory_usage: int = 512 * 1024**2
    """Bytes of memory that a statement may hold."""
    max_result_bytes: int = 16 * 1024**3
    """Bytes of a statement's uncompressed result."""
    max_temporary_data_on_disk_size_for_query: int = 8 * 1024**3
    """Bytes that sorts and aggregations may spill."""
    max_threads: int = 64
    """Threads of one statement; the engine takes the machine's cores unless told."""
    max_parser_depth: int = 1000
    """Nesting of a statement."""


_UNCAPPED_DEFAULTS = frozenset({"max_threads", "max_parser_depth"})  # the engine's own are lower

# What shapes a statement's result or the way to it. Everything else (the parser's dialect, files,
# other servers, profilers, memory outside of the tracker) is closed.
_OPEN_SETTINGS = re.compile(
    r"(aggregate|allow_experimental|analyzer|cast|compile|cross_join|date_time|decimal|distinct"
    r"|empty_result_for|enable|exact|format_(csv|custom|tsv)|function_json|group_by|input_format"
    r"|interval_output|join|low_cardinality|normalize|optimize|output_format|partial_merge_join"
    r"|prefer|query_cache|query_plan|regexp|rewrite|short_circuit|totals|type_json|use"
    r"|max_(ast|block_size|bytes|columns|execution|expanded_ast|final_threads|joined|memory_usage"
    r"|parser_depth|result|rows|subquery|temporary|threads))(_\w+)?"
    r"|(read|result|set|sort|timeout|transfer)_overflow_mode|(except|intersect|union)_default_mode"
    r"|bool_(true|false)_representation|count_distinct_implementation|extremes|final|limit|offset"
    r"|(force|ignore)_data_skipping_indices|session_timezone|transform_null_in"
    r"|do_not_merge_across_partitions_select_final"
)
_CLOSED_SETTINGS = re.compile(
    r".*(_ai_|_disk|_file|_for_all_users|_for_user|_log|_page_cache|_share_|_streaming|azure|database"
    r"|debug|delta|dialect|distributed|function_sleep|hdfs|iceberg|introspection|network|profile|python|remote|s3"
    r"|schema|stack_trace).*"
)
# Text can carry an expression or a path where it is not one of these.
_TEXT_SETTINGS = re.compile(
    r"format_(csv|custom|tsv)_\w+|output_format_\w+|bool_\w+|count_distinct_implementation"
    r"|(force|ignore)_data_skipping_indices|query_cache_tag"
)
# Of the HTTP exchange, not of the statement: http.py answers to them, the engine need not.
_EXCHANGE_SETTINGS = frozenset(
    {
        "cancel_http_readonly_queries_on_client_close",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "http_write_exception_in_output_format",
        "http_zlib_compression_level",
        "log_comment",
        "log_queries",
        "send_progress_in_http_headers",
        "wait_end_of_query",
    }
)


class SettingCatalog:
    """The engine's settings by name and type; read once, they never change in a process."""

    def __init__(self, connection: Connection) -> None:
        listed = connection.query("SELECT name, type FROM system.settings", "TSV").bytes()
        self._types = dict(line.split("\t") for line in listed.decode().splitlines())

    def check_known(self, name: str) -> None:
        """Raise StoreError (115) when the engine has no such setting."""
        if name not in self._types and not name.startswith("custom_"):
            raise fault(
                UNKNOWN_SETTING,
                f"Setting {name} is neither a builtin setting nor a parameter of the interface",
            )

    def check_open(self, name: str) -> None:
        """Raise StoreError (115, 164) unless a reader may change this setting."""
        self.check_known(name)
        is_text = self._types.get(name, "String") in {"String", "Map", "URI"}
        is_open = _OPEN_SETTINGS.fullmatch(name) and not _CLOSED_SETTINGS.fullmatch(name)
        if name in Limits._fields:
            return
        if not is_open or (is_text and not _TEXT_SETTINGS.fullmatch(name)):
            raise fault(
                READONLY, f"Cannot modify '{name}' setting in readonly mode: it is closed here"
            )


def lock_reader(
    connection: Connection,
    catalog: SettingCatalog,
    limits: Limits,
    asked: Mapping[str, str],
    *,
    level: int = 1,
) -> None:
    """Give a session its reader's defaults and the client's settings, then make it read-only.

    Level 1 of the lock holds settings too, and so table functions; level 2 leaves them free.

    Raises StoreError when a setting is unknown (115), closed (164) or above a cap (452).
    """
    defaults = {"final": "1"} | {
        name: str(value)
        for name, value in limits._asdict().items()
        if name not in _UNCAPPED_DEFAULTS
    }
    apply(connection, defaults)
    wanted = {name: value for name, value in asked.items() if name not in _EXCHANGE_SETTINGS}
    if wanted.pop("readonly", "1") not in {"1", "2"}:
        raise fault(READONLY, "Cannot modify 'readonly' setting: the SQL door only reads")
    for name in wanted:
        catalog.check_open(name)
    apply(connection, wanted)
    _check_caps(connection, limits, wanted)
    connection.query(f"SET readonly = {level:d}")


def apply(connection: Connection, settings: Mapping[str, str]) -> None:
    """Set settings for the rest of the session."""
    wanted = [f"{_name(name)} = {quote_string(value)}" for name, value in settings.items()]
    if wanted:
        connection.query("SET " + ", ".join(wanted))


@contextmanager
def temporarily(connection: Connection, settings: Mapping[str, str]) -> Iterator[None]:
    """Set settings for one statement of a session that lives on after it."""
    names = ", ".join(quote_string(name) for name in settings)
    listed = connection.query(
        f"SELECT name, value FROM system.settings WHERE changed AND name IN ({names})"
    ).bytes()
    before = dict(line.split("\t") for line in listed.decode().splitlines())
    apply(connection, settings)
    try:
        yield
    finally:
        apply(connection, before)
        defaults = [f"{_name(name)} = DEFAULT" for name in settings if name not in before]
        if defaults:
            connection.query("SET " + ", ".join(defaults))


def _name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise fault(UNKNOWN_SETTING, f"Unknown setting '{name}'")
    return name


def exchange_free(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that concern the statement rather than the HTTP exchange."""
    return {name: value for name, value in settings.items() if name not in _EXCHANGE_SETTINGS}


def _check_caps(connection: Connection, limits: Limits, wanted: Mapping[str, str]) -> None:
    """Compare what the engine made of the client's values ('1G', '0.5') with the caps."""
    caps = {name: cap for name, cap in limits._asdict().items() if name in wanted}
    if not caps:
        return
    names = ", ".join(quote_string(name) for name in caps)
    listed = connection.query(
        f"SELECT name, value FROM system.settings WHERE name IN ({names})", "TSV"
    ).bytes()
    for name, value in (line.split("\t") for line in listed.decode().splitlines()):
        number = re.match(r"[\d.]+", value)  # 'auto(2)' of max_threads is the engine's own choice
        if number and not 0 < float(number[0]) <= caps[name]:
            raise fault(
                CONSTRAINT_VIOLATION,
                f"Setting {name} shouldn't be greater than {caps[name]} nor 0 (no limit) here",
            )


def use_database(connection: Connection, database: str) -> None:
    """Make a database the session's own; StoreError (81) when there is none of that name."""
    connection.query(f"USE {quote_name(database)}")


@contextmanager
def opened(connect: Connect) -> Iterator[Connection]:
    """Open a session for one statement and close it after.

    Raises StoreError (236) when the store is closing.
    """
    with ExitStack() as stack:
        try:
            engine = stack.enter_context(connect())
        except RetryableError as error:
            raise fault(ABORTED, str(error)) from error
        yield Connection(engine)
