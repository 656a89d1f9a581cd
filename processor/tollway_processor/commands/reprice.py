"""`tollway reprice` and `tollway prices update`: through the running processor, else by itself."""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.table import Table

from tollway_processor.commands.prices import moment_of
from tollway_processor.commands.tables import console
from tollway_processor.config import Config
from tollway_processor.errors import StoreError, StoreHeldError, UsageError
from tollway_processor.ingest.stamps import Stamps
from tollway_processor.pricing.control import FILE, line
from tollway_processor.pricing.current import CurrentPrices
from tollway_processor.pricing.reprice import Repricer, Scope
from tollway_processor.pricing.row import FIRST_DAY
from tollway_processor.service import clock_of
from tollway_processor.signals.rollup import Rollup
from tollway_processor.store import lock
from tollway_processor.store.client import Store
from tollway_processor.store.opening import folder_of, open_store


def run_reprice(
    config: Config, first: str | None, last: str | None, model: str, format: str
) -> int:
    """Reprice stored calls, show the progress on stderr and what changed on stdout."""
    scope = Scope(
        moment_of(first, "--from").date() if first else FIRST_DAY,
        moment_of(last, "--to").date(),
        model,
    )
    if scope.first > scope.last:
        raise UsageError(f"--from {scope.first} is after --to {scope.last}")
    folder = _held_folder(config)
    steps = _asked(folder, scope) if folder else _by_itself(config, scope)
    report: list[dict[str, Any]] = []
    for step in steps:
        if "progress" in step:
            _show_progress(step["progress"])
        else:
            report = step["report"]
    if format == "json":
        print(json.dumps(report, indent=1))
    else:
        _show_report(report)
    return 0


def run_update(config: Config) -> int:
    """Bring the table of prices up to date with the installed price book and the configuration."""
    folder = _held_folder(config)
    if folder is not None:
        with _control(folder, "/update", {}) as response:
            changed = int(json.loads(response.read())["changed"])
        print("(the processor's own configuration holds, not this command's)", file=sys.stderr)
    else:
        store = open_store(config.store)
        try:
            changed = CurrentPrices(store, config.prices).apply(is_whole=False)
        finally:
            store.close()
    print(f"{changed} price rows changed", file=sys.stderr)
    return 0


def _held_folder(config: Config) -> Path | None:
    folder = folder_of(config.store)
    return folder if folder is not None and lock.holder(folder) is not None else None


def _by_itself(config: Config, scope: Scope) -> Iterator[dict[str, Any]]:
    store = open_store(config.store, must_exist=True)
    try:
        prices = CurrentPrices(store, config.prices)
        prices.apply(is_whole=False)
        for step in Repricer(store, prices, Stamps(clock_of(store)).next).run(scope):
            yield line(step)
        _roll_up(store)
    finally:
        store.close()


def _roll_up(store: Store) -> None:
    print("traces and route statistics follow …", file=sys.stderr)
    while Rollup(store, lambda: time.time_ns() + 1).run():
        continue


def _asked(folder: Path, scope: Scope) -> Iterator[dict[str, Any]]:
    """The steps as the processor that holds the store takes them."""
    told = {"first": scope.first.isoformat(), "last": scope.last.isoformat(), "model": scope.model}
    with _control(folder, "/reprice", told) as response:
        is_complete = False
        for text in response:
            step = json.loads(text)
            if "error" in step:
                raise (UsageError if step["is_usage"] else StoreError)(step["error"])
            is_complete = "report" in step
            yield step
        if not is_complete:
            raise StoreError("the processor stopped before all was repriced; run this again")


@contextmanager
def _control(folder: Path, path: str, told: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
    try:
        control = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreHeldError(
            f"the store {folder} is held by another process, which cannot be asked ({error}); "
            "run this as the user of that process, or stop it first"
        ) from error
    connection = http.client.HTTPConnection(urlsplit(control["url"]).netloc)
    headers = {"Authorization": f"Bearer {control['token']}", "Content-Type": "application/json"}
    try:
        connection.request("POST", path, json.dumps(told).encode(), headers)
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise StoreError(
                f"the processor answered {response.status}: {response.read().decode()}"
            )
        yield response
    except (OSError, http.client.HTTPException) as error:
        raise StoreError(
            f"the processor stopped answering ({error!r}); run this again to go on"
        ) from error
    finally:
        connection.close()


def _show_progress(step: dict[str, Any]) -> None:
    done = "done before" if step["is_resumed"] else f"{step['changed']} of {step['spans']} changed"
    print(f"{step['day']}  {step['number']}/{step['days']}  {done}", file=sys.stderr, flush=True)


def _show_report(report: list[dict[str, Any]]) -> None:
    shown = Table(title="Repriced", title_justify="left")
    for name in ("model", "spans", "traces", "unpriced before", "since", "USD before", "USD since"):
        shown.add_column(name, justify="left" if name == "model" else "right")
    for row in report:
        shown.add_row(*(str(cell) for cell in row.values()))
    console().print(shown if report else "No cost changed.")
