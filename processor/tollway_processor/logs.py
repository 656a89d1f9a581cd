"""How the processor's log looks on stderr: one line a problem, as text or JSON, never a flood.

What is a problem is left to the modules that log it; ingest/notices.py limits by its kind.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TextIO

LogFormat = Literal["text", "json"]

_PERIOD_S = 10.0
_MOST_PLACES = 1000
# They warn of each try to reach a server; the store says once what came of it.
_TOLD_BETTER = ("clickhouse_connect", "urllib3", "urllib3.connectionpool")


class OncePerPlace(logging.Filter):
    """Lets a place in the code warn once a period, then with the count of what was held back.

    For the libraries and rare faults; Notices lines, which know their kind, are let through.
    """

    def __init__(
        self, period_s: float = _PERIOD_S, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._period_s = period_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next_at: dict[tuple[str, int], float] = {}
        self._held_back: dict[tuple[str, int], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record is written; adds the count of those before it that were not."""
        if record.levelno < logging.WARNING or record.module == "notices":
            return True
        place, now = (record.pathname, record.lineno), self._monotonic()
        with self._lock:
            if now < self._next_at.get(place, float("-inf")):
                self._held_back[place] = self._held_back.get(place, 0) + 1
                return False
            if len(self._next_at) >= _MOST_PLACES:
                self._next_at.clear()
                self._held_back.clear()
            self._next_at[place] = now + self._period_s
            held_back = self._held_back.pop(place, 0)
        if held_back:
            more = f" (and {held_back} more like it since the last line)"
            record.msg, record.args = record.getMessage() + more, ()
        return True


class TextLine(logging.Formatter):
    """Time, level, message; an exception's class, text and place behind it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        told = f"{_time(record)} {record.levelname} {record.getMessage()}"
        if record.exc_info and record.exc_info[1] is not None:
            told += f" [{_error(record.exc_info[1])}]"
        return "\\n".join(told.splitlines())


class JsonLine(logging.Formatter):
    """An object a line: time, level, logger, message, and of an exception error and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        told = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            told["error"] = _error(record.exc_info[1])
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


def set_up(format: LogFormat, stream: TextIO | None = None) -> None:
    """Write this process's log, and Python's warnings, to `stream` (default stderr)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLine() if format == "json" else TextLine())
    handler.addFilter(OncePerPlace())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for library in _TOLD_BETTER:
        logging.getLogger(library).setLevel(logging.ERROR)


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f", {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}: {error}{where}"
