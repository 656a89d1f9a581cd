"""The way of one statement's result out of the engine: a pipe that the engine writes a file to.

`INTO OUTFILE '/proc/self/fd/N'` gives every format whole and in pieces, with the reader's pace
as back-pressure; the engine's own streaming call starts each piece with a header anew.
"""

from __future__ import annotations

import fcntl
import os
import threading
import uuid
from typing import NamedTuple

from tollway_processor.door.faults import QUERY_WAS_CANCELLED, fault
from tollway_processor.door.session import Connect, Result, opened
from tollway_processor.quoting import quote_string

_PIPE_BYTES = 1024 * 1024


class Summary(NamedTuple):
    """What a statement read and wrote, as X-ClickHouse-Summary counts it."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0

    @classmethod
    def of(cls, result: Result) -> Summary:
        """Take the counts over from the engine."""
        return cls(
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            written_rows=result.rows_written(),
            written_bytes=result.bytes_written(),
            result_rows=result.rows_read(),
        )


class Pipe:
    """Where the engine writes a result and the door reads it; each end is closed once."""

    def __init__(self) -> None:
        self.read_fd, self._write_fd = os.pipe()
        fcntl.fcntl(self._write_fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._lock = threading.Lock()

    @property
    def path(self) -> str:
        """The name under which the engine opens the writing end."""
        return f"/proc/self/fd/{self._write_fd}"

    def close_writer(self) -> None:
        """Let the reader see the end of the result."""
        with self._lock:
            if self._write_fd >= 0:
                os.close(self._write_fd)
                self._write_fd = -1


class Ticket:
    """A running statement that can be cancelled: the engine knows it by a log_comment."""

    def __init__(self) -> None:
        self.tag = f"tollway-door-{uuid.uuid4().hex}"
        self.format: str | None = None
        self._is_cancelled = False

    def start(self, result_format: str | None) -> None:
        """Note the result's format just before the engine runs; StoreError (394) if cancelled."""
        if self._is_cancelled:
            raise fault(QUERY_WAS_CANCELLED, "Query was cancelled")
        self.format = result_format

    def cancel(self, connect: Connect) -> None:
        """Ask the engine to end the statement; it may have ended already."""
        self._is_cancelled = True
        with opened(connect) as connection:
            connection.query(
                f"KILL QUERY WHERE Settings['log_comment'] = {quote_string(self.tag)} ASYNC"
            )
