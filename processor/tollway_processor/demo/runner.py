"""The demo from start to end: processor, stub and agent as children, traffic, findings.

What the children do is their own modules' matter, what is asked questions.py's, and how it looks
report.py's.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tollway_processor.demo.children import Child
from tollway_processor.demo.questions import QUESTIONS, STORED, Query, Row, ask, ask_all
from tollway_processor.demo.report import show
from tollway_processor.demo.services import agent_to, processor_on, stub_of_openai
from tollway_processor.door.client import DoorClient
from tollway_processor.errors import MissingExtraError, StoreError, TollwayError, UsageError

DEFAULT_TRACES: Final = 1500
FEWEST_TRACES: Final = 20
"""Fewer would leave a cohort without a trace of one variant, and nothing to compare."""

SILENCE_TIMEOUT_S: Final = 60.0
"""Longest time that the agent may serve tickets without saying so."""

ROLLUP_TIMEOUT_S: Final = 60.0
AGENT_PACKAGES: Final = ("openai", "langchain_openai", "langgraph")
INTERRUPTED: Final = 130
PLAIN_STEPS: Final = 5
PLAIN_WIDTH: Final = 140

SETTLED: Final = """\
SELECT count() = 2 AND min(evaluated_at >= rolled_up_at) AS settled
FROM (SELECT route, max(rolled_up_at) AS rolled_up_at FROM traces GROUP BY route) AS rolled
INNER JOIN latest_route_verdicts USING (route)"""
"""Both routes have been judged since their last trace was rolled up."""


def run_demo(json_path: Path | None, data_dir: Path | None, traces: int = DEFAULT_TRACES) -> int:
    """Run the demo and print its findings; return the exit code.

    json_path: also write the findings there. data_dir: an empty or new folder for the store.
    Raises UsageError for a wrong path or too few traces, MissingExtraError without the
    sample agent's packages, TollwayError when a child dies or stalls.
    """
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    started = time.monotonic()
    _require_extra()
    if traces < FEWEST_TRACES:
        raise UsageError(f"--traces {traces} is too few to compare; use {FEWEST_TRACES} or more")
    if json_path is not None and not json_path.absolute().parent.is_dir():
        raise UsageError(f"--json {json_path}: there is no such folder")
    folder = _fresh_folder(data_dir)
    store = f"chdb:{folder}"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # children stop as on Ctrl-C
    try:
        findings = _play(console, folder, traces)
    except KeyboardInterrupt:
        console.print(f"Interrupted; what was stored so far is kept in {store}.", markup=False)
        return INTERRUPTED
    show(console, findings, store)
    console.print(f"Done in {time.monotonic() - started:.0f} s.")
    if json_path is not None:
        _write_json(json_path, {**findings, "store": store, "sql": dict(QUESTIONS)})
    return 0


def _play(console: Console, folder: Path, traces: int) -> dict[str, Any]:
    """Run the processor and the traffic; return what is found once all is rolled up."""
    with processor_on(folder) as (processor, addresses):
        query = _door(processor, addresses["sql"])
        sent = _traffic(console, processor, addresses["http"], traces)
        stored = _await_rollup(processor, query, sent)
        return {**ask_all(query), "sent": sent, "stored": stored}


def _require_extra() -> None:
    missing = [name for name in AGENT_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"tollway demo needs {', '.join(missing)}: pip install 'tollway[demo]'"
        )


def _fresh_folder(given: Path | None) -> Path:
    folder = given or Path("demo-data") / datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty; the demo needs a fresh folder: --data DIR")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}") from error
    return folder


def _door(processor: Child, url: str) -> Query:
    client = DoorClient(url)

    def query(sql: str) -> bytes:
        try:
            return client.query(sql, format="JSON")
        except StoreError:
            processor.check()  # its death is a better reason than a door that does not answer
            raise

    return query


def _traffic(console: Console, processor: Child, otlp_url: str, traces: int) -> dict[str, int]:
    """Run the stub and the agent; return what the agent says it sent."""
    last: dict[str, int] = {}
    flags = ("--traces", str(traces))
    with (
        stub_of_openai() as openai_url,
        agent_to(otlp_url, openai_url, *flags) as agent,
        _progress(console, traces) as advance,
    ):
        while (line := agent.line(SILENCE_TIMEOUT_S)) is not None:
            processor.check()
            last = json.loads(line)
            advance(last["done"])
        agent.finish(SILENCE_TIMEOUT_S)
        if "traces" not in last:
            raise agent.failure("ended without saying what it sent")
    return {name: count for name, count in last.items() if name != "done"}


@contextlib.contextmanager
def _progress(console: Console, traces: int) -> Iterator[Callable[[int], None]]:
    """Show how far the traffic is: a bar on a terminal, a few lines elsewhere."""
    if not console.is_terminal:
        yield _plain_progress(console, traces)
        return
    columns = (TextColumn("traffic"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("traffic", total=traces)
        yield lambda done: bar.update(task, completed=done)


def _plain_progress(console: Console, traces: int) -> Callable[[int], None]:
    step = max(1, traces // PLAIN_STEPS)
    shown = 0

    def advance(done: int) -> None:
        nonlocal shown
        if done // step > shown // step:
            console.print(f"traffic: {done} of {traces} traces")
            shown = done

    return advance


def _await_rollup(processor: Child, query: Query, sent: Mapping[str, int]) -> Row:
    """Wait until all that was sent is rolled up and evaluated; return what is stored."""
    stored: Row = {}

    def has_caught_up() -> bool:
        stored.update(ask(query, STORED)[0])
        has_all = all(stored[name] >= count for name, count in sent.items())
        return has_all and bool(ask(query, SETTLED)[0]["settled"])

    try:
        processor.until(has_caught_up, timeout_s=ROLLUP_TIMEOUT_S, what="roll-up")
    except TollwayError as error:
        raise TollwayError(f"{error} Sent {dict(sent)}, stored {stored}.") from error
    return stored


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    try:
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another --json") from error
