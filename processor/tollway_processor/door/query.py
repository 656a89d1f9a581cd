"""Runs one statement for the door, in a thread: a reader's, or any on a writable door."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from tollway_processor.door import parse, session
from tollway_processor.door.answer import Pipe, Summary, Ticket
from tollway_processor.door.faults import ACCESS_DENIED, BAD_ARGUMENTS, READONLY, fault
from tollway_processor.door.guard import Guard, not_a_read
from tollway_processor.door.session import Connect, Connection, Limits, SettingCatalog
from tollway_processor.door.statement import (
    READ_WORDS,
    Statement,
    first_word,
    split_insert,
    split_statement,
)


class Request(NamedTuple):
    """One statement as a client sent it."""

    body: bytes
    database: str = "default"
    parameters: Mapping[str, str] = {}
    settings: Mapping[str, str] = {}
    default_format: str = "TabSeparated"


class Reader:
    """Runs statements that only read, each in a locked session of its own."""

    def __init__(self, connect: Connect, limits: Limits) -> None:
        self._connect = connect
        self._limits = limits
        with session.opened(connect) as connection:
            self._catalog = SettingCatalog(connection)
            self._guard = Guard(connection)

    def run(self, request: Request, pipe: Pipe, ticket: Ticket) -> Summary:
        """Write the result into the pipe. Raises StoreError with ClickHouse's code.

        What the guard judges is to the letter what runs: the engine's own writing of it.
        """
        with session.opened(self._connect) as connection:
            session.apply(connection, {**_AS_A_SERVER, "log_comment": ticket.tag})
            text = parse.normalise(connection, _text(request.body), request.parameters)
            if first_word(text) not in READ_WORDS:
                raise not_a_read(first_word(text))
            statement = split_statement(text)
            if statement.outfile is not None:
                raise fault(ACCESS_DENIED, "INTO OUTFILE writes a file on the server")
            written = statement.into_file(pipe.path, request.default_format)
            sql = parse.normalise(connection, written, request.parameters)
            self._lock(connection, request, statement)
            tables = self._guard.check(
                connection,
                sql,
                request.parameters,
                database=request.database,
                outfile=pipe.path,
            )
            ticket.start(statement.format or request.default_format)
            if tables != _SETTINGS_TABLE:
                return Summary.of(connection.query(sql, params=request.parameters))
        with session.opened(self._connect) as connection:
            session.apply(connection, {"log_comment": ticket.tag})
            self._lock(connection, request, statement, level=2)
            return Summary.of(connection.query(sql, params=request.parameters))

    def _lock(
        self, connection: Connection, request: Request, statement: Statement, *, level: int = 1
    ) -> None:
        if request.database != "default":
            session.use_database(connection, request.database)
        asked = {**request.settings, **statement.settings}
        session.lock_reader(connection, self._catalog, self._limits, asked, level=level)


# The embedded engine is set up as clickhouse-local, which takes `1 + 1` for a statement; and a
# list of some ten thousand ids is a statement too.
_AS_A_SERVER = {"implicit_select": "0", "max_query_size": "1048576"}

# Under the tighter lock this table calls every setting unchangeable, and clickhouse-connect then
# neither sends settings nor asks for compression.
_SETTINGS_TABLE = {"system.settings"}


class Writer:
    """Runs every statement, as a ClickHouse server without users would."""

    def __init__(self, connect: Connect) -> None:
        with session.opened(connect) as connection:
            self._catalog = SettingCatalog(connection)

    def run(
        self,
        request: Request,
        pipe: Pipe,
        ticket: Ticket,
        connection: Connection,
        *,
        is_get: bool,
    ) -> Summary:
        """Run a statement in a session; its result, if it has one, goes into the pipe."""
        settings = session.exchange_free(request.settings)
        for name in settings:
            self._catalog.check_known(name)
        if request.database != "default":
            session.use_database(connection, request.database)
        with session.temporarily(
            connection, {**_AS_A_SERVER, **settings, "log_comment": ticket.tag}
        ):
            word = first_word(request.body[:4096].decode("latin-1"))
            if is_get and word not in READ_WORDS:
                raise fault(READONLY, _GET_READS)
            if word == "INSERT":
                ticket.start(None)
                return _insert(connection, request)
            return self._run(connection, request, pipe, ticket)

    def _run(self, connection: Connection, request: Request, pipe: Pipe, ticket: Ticket) -> Summary:
        text = _text(request.body)
        normal = parse.normalise(connection, text, request.parameters)
        if first_word(normal) not in READ_WORDS:
            ticket.start(None)
            return Summary.of(connection.query(text, params=request.parameters))
        statement = split_statement(normal)
        ticket.start(statement.format or request.default_format)
        sql = statement.into_file(pipe.path, request.default_format)
        return Summary.of(connection.query(sql, params=request.parameters))


_GET_READS = (
    "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. "
    "You should use method POST for modifying queries"
)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise fault(BAD_ARGUMENTS, f"The statement is not UTF-8 at byte {error.start}") from None


def _insert(connection: Connection, request: Request) -> Summary:
    insert = split_insert(request.body)
    if insert is None:
        return Summary.of(connection.query(_text(request.body), params=request.parameters))
    with _data_file(memoryview(request.body)[insert.data_start :]) as path:
        return Summary.of(connection.query(insert.from_file(path), params=request.parameters))


@contextmanager
def _data_file(data: memoryview) -> Iterator[str]:
    """Lend the engine a file that holds the rows, in memory where the system can."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("tollway-insert"), "wb") as file:
            file.write(data)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
        return
    with tempfile.NamedTemporaryFile(prefix="tollway-insert-") as named:
        named.write(data)
        named.flush()
        yield named.name
