"""The demo's three processes: how each is started, and when it is ready.

Starting and stopping a process is children.py's; in which order they run is runner.py's.
"""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tollway_processor.demo.children import Child, running
from tollway_processor.store.lock import LOCK_NAME

START_TIMEOUT_S: Final = 60.0


@contextlib.contextmanager
def processor_on(folder: Path) -> Iterator[tuple[Child, Mapping[str, str]]]:
    """Run the processor on a store in `folder`, on free ports.

    Gives it and its addresses (`http`, `grpc`, `sql`) once it is healthy.
    """
    listen = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--sql", "127.0.0.1:0")
    command = ("-m", "tollway_processor.cli", "serve", "--store", f"chdb:{folder}", *listen)
    with running("processor", command) as child:
        child.until(
            lambda: _is_healthy(_addresses(folder, child.pid)),
            timeout_s=START_TIMEOUT_S,
            what="its /healthz does not answer",
        )
        yield child, _addresses(folder, child.pid)


@contextlib.contextmanager
def stub_of_openai() -> Iterator[str]:
    """Run the stand-in for the OpenAI API; give its base URL."""
    with running("stub of the OpenAI API", ("-m", "tollway_processor.demo.stub")) as child:
        port = child.line(START_TIMEOUT_S)
        if port is None:
            raise child.failure("ended before it served")
        yield f"http://127.0.0.1:{port}/v1"


@contextlib.contextmanager
def agent_to(otlp_url: str, openai_url: str, *flags: str) -> Iterator[Child]:
    """Run the sample agent, which serves its tickets and ends; `flags` are its own."""
    environment = {
        "OPENAI_BASE_URL": openai_url,
        "OPENAI_API_KEY": "demo",
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_url,
    }
    command = ("-m", "tollway_processor.demo.agent", *flags)
    with running("sample agent", command, environment) as child:
        yield child


def _addresses(folder: Path, pid: int) -> dict[str, str]:
    """Return what the processor wrote beside its store; empty while it has not."""
    try:
        written = json.loads((folder / LOCK_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    # A processor that was killed leaves its addresses behind.
    is_own = written.get("pid") == pid and {"http", "sql"} <= written.keys()
    return written if is_own else {}


def _is_healthy(addresses: Mapping[str, str]) -> bool:
    if not addresses:
        return False
    try:
        with urllib.request.urlopen(f"{addresses['http']}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError):
        return False
