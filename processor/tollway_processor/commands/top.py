"""`tollway top`: a running processor's metrics, live in the terminal or once as text."""

from __future__ import annotations

import http.client
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tollway_processor.commands.board import Line, Reading, board
from tollway_processor.config import Config
from tollway_processor.errors import RetryableError, UsageError
from tollway_processor.store import lock
from tollway_processor.store.opening import folder_of

DEFAULT_URL = "http://127.0.0.1:4318"
_INTERVAL_S = 1.0
_ANSWER_S = 10.0


def run_top(config: Config, url: str | None, once: bool) -> int:
    """Show the board until Ctrl-C; one reading when asked, or when stdout is no terminal."""
    where = (url or _running(config) or DEFAULT_URL).rstrip("/")
    if not where.startswith(("http://", "https://")):
        raise UsageError(f"--url {url}: give http://HOST:PORT, for instance {DEFAULT_URL}")
    before = read(where)
    if once or not sys.stdout.isatty():
        time.sleep(_INTERVAL_S)
        print(plain(where, list(board(before, read(where)))))
        return 0
    _watch(where, before)
    return 0


def read(url: str) -> Reading:
    """Return what /metrics says now; raises RetryableError when it does not answer."""
    try:
        with urllib.request.urlopen(f"{url}/metrics", timeout=_ANSWER_S) as answer:
            return Reading(answer.read().decode(), time.monotonic())
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        raise RetryableError(f"no processor answers at {url}/metrics: {cause}") from error


def plain(url: str, lines: Sequence[Line]) -> str:
    """Return the lines as text, a title of several lines once."""
    told = [f"{'processor':<16}{url}"]
    title = ""
    for line in lines:
        told.append(f"{line.title if line.title != title else '':<16}{line.text}")
        title = line.title
    return "\n".join(told)


def table(url: str, lines: Sequence[Line], trouble: str) -> Table:
    """Return the lines as a table for the terminal; `trouble` says why they are old."""
    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="bold")
    shown.add_column()
    shown.add_row("processor", Text(url))
    title = ""
    for line in lines:
        style = "bold yellow" if line.is_warning else ""
        shown.add_row(line.title if line.title != title else "", Text(line.text, style))
        title = line.title
    shown.add_row("", Text(trouble or "Ctrl-C leaves", "bold red" if trouble else "dim"))
    return shown


def _watch(url: str, before: Reading) -> None:
    lines: list[Line] = []
    trouble = "reading"
    with Live(console=Console(), screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(table(url, lines, trouble), refresh=True)
                time.sleep(_INTERVAL_S)
                try:
                    now = read(url)
                except RetryableError as error:
                    trouble = str(error)  # it may come back
                    continue
                lines, trouble, before = list(board(before, now)), "", now
        except KeyboardInterrupt:
            return


def _running(config: Config) -> str:
    folder = folder_of(config.store)
    held = lock.holder(folder) if folder is not None else None
    return held.get("http", "") if held else ""
