"""Statements under way: a thread and a pipe each, cancelled when nobody reads them any more."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tollway_processor.door.answer import Pipe, Summary, Ticket
from tollway_processor.door.faults import TOO_MANY_QUERIES, fault
from tollway_processor.door.session import Connect

Work = Callable[[Pipe, Ticket], Summary]
_KILL_EVERY_S = 0.2  # a statement still being planned is not yet known to KILL QUERY


class Statement:
    """One running statement: its result piece by piece, then its summary."""

    def __init__(self, ticket: Ticket, done: asyncio.Future[Summary]) -> None:
        self._ticket = ticket
        self._transport: asyncio.ReadTransport | None = None
        self.done = done
        self.pieces = asyncio.StreamReader(limit=1024 * 1024)
        """The result as the engine writes it; it ends with the statement, failed or not."""

    @property
    def format(self) -> str | None:
        """The format of the result, known with its first byte; None for one without rows."""
        return self._ticket.format

    async def open(self, pipe: Pipe) -> None:
        """Begin to read the result."""
        protocol = asyncio.StreamReaderProtocol(self.pieces)
        file = os.fdopen(pipe.read_fd, "rb", buffering=0)
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(lambda: protocol, file)

    async def summary(self) -> Summary:
        """Return what was read and written; StoreError when the statement failed."""
        return await asyncio.shield(self.done)

    def close(self) -> None:
        """Read no further: the engine's writes then fail at once instead of waiting."""
        if self._transport:
            self._transport.close()

    def cancel(self, connect: Connect) -> None:
        """Ask the engine to end the statement."""
        self._ticket.cancel(connect)


class Statements:
    """Runs statements in a bounded number of threads and cancels what is abandoned."""

    def __init__(self, connect: Connect, *, at_once: int, waiting: int) -> None:
        self._connect = connect
        self._most = at_once + waiting
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="sql-door")
        self._killers = ThreadPoolExecutor(1, thread_name_prefix="sql-door-kill")
        self._running: set[Statement] = set()
        self._ending: set[asyncio.Task[None]] = set()

    async def start(self, work: Work) -> Statement:
        """Queue a statement; StoreError (202) when too many wait already."""
        if len(self._running) >= self._most:
            raise fault(
                TOO_MANY_QUERIES,
                f"Too many simultaneous queries: {len(self._running)}; try again later",
            )
        pipe, ticket = Pipe(), Ticket()
        loop = asyncio.get_running_loop()
        statement = Statement(ticket, loop.run_in_executor(self._threads, _run, work, pipe, ticket))
        self._running.add(statement)
        statement.done.add_done_callback(lambda done: self._forget(statement, done))
        try:
            await statement.open(pipe)
        except asyncio.CancelledError:
            await self.end(statement)
            raise
        return statement

    def _forget(self, statement: Statement, done: asyncio.Future[Summary]) -> None:
        self._running.discard(statement)
        if not done.cancelled():
            done.exception()  # an abandoned statement's failure concerns nobody any more

    async def end(self, statement: Statement) -> None:
        """End a statement that may still run because its client is gone, and wait for it.

        Also when the wait is cut short: the server cancels a handler whose connection breaks, which
        may be ending its statement already since it could not write. The engine goes on with a
        statement that nobody reads.
        """
        statement.close()
        if statement.done.done():
            return
        ending = asyncio.create_task(self._kill(statement))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        await asyncio.shield(ending)

    async def _kill(self, statement: Statement) -> None:
        loop = asyncio.get_running_loop()
        while not statement.done.done():
            await loop.run_in_executor(self._killers, statement.cancel, self._connect)
            await asyncio.wait([statement.done], timeout=_KILL_EVERY_S)

    async def stop(self) -> None:
        """End all that runs, and the threads."""
        await asyncio.gather(*(self.end(statement) for statement in [*self._running]))
        await asyncio.gather(*self._ending)
        self._threads.shutdown()
        self._killers.shutdown()


def _run(work: Work, pipe: Pipe, ticket: Ticket) -> Summary:
    try:
        return work(pipe, ticket)
    finally:
        pipe.close_writer()
