"""A processor in a process of its own, as an operator starts it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tollway_processor.door.client import DoorClient

DEADLINE_S = 90.0
TOLLWAY = (sys.executable, "-m", "tollway_processor.cli")


class Processor:
    """`tollway serve` on free ports, on a folder or a server's URL."""

    def __init__(self, store: Path | str, toml: str, log: Path) -> None:
        self.store = store if isinstance(store, str) else f"chdb:{store}"
        self.log = log
        self.config = log.with_suffix(".toml")
        self.config.write_text(toml)
        with open(log, "ab") as errors:
            self.process = subprocess.Popen(
                [
                    *TOLLWAY, "serve", "--store", self.store, "--config", str(self.config),
                    "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--sql", "127.0.0.1:0",
                ],
                stderr=errors, cwd=log.parent,
            )  # fmt: skip
        self.addresses: dict[str, str] = {}

    @property
    def http(self) -> str:
        """URL of its HTTP port."""
        return self.addresses["http"]

    def said(self) -> str:
        """What it logged."""
        return self.log.read_text(errors="replace")

    def wait_until_open(self) -> None:
        """Wait for its addresses."""
        self.addresses = until(self._told, f"the processor open: {self.said()}")

    def _told(self) -> dict[str, str] | None:
        line = re.search(r"^tollway serves .*$", self.said(), re.M)
        assert line or self.process.poll() is None, self.said()
        return dict(re.findall(r"(http|grpc|sql) (\S+?)(?:,|$)", line[0])) if line else None

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a GET on the HTTP port."""
        return self._answer(urllib.request.Request(self.http + path))

    def post(self, body: bytes, path: str = "/v1/traces", **headers: str) -> tuple[int, str]:
        """Status and text of a POST on the HTTP port, protobuf unless the headers say otherwise."""
        told = {"Content-Type": "application/x-protobuf"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self._answer(urllib.request.Request(self.http + path, body, told))

    def _answer(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")

    def memory(self, name: str = "VmRSS") -> int:
        """Its resident memory, bytes; VmHWM for the highest so far."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in text.splitlines() if line.startswith(name))
        return int(line.split()[1]) * 1024

    def rows(self, sql: str) -> list[dict[str, str]]:
        """Rows of a SELECT through the SQL door, its own or the server's."""
        url = self.addresses.get("sql") or "http:" + self.store.partition(":")[2].rpartition("/")[0]
        told = DoorClient(url).query(sql, format="JSONEachRow")
        return [json.loads(line) for line in told.splitlines()]

    def stored(self, where: str = "true") -> dict[str, int]:
        """Distinct spans stored, by trace."""
        sql = (
            "SELECT trace_id, toInt32(uniqExact(span_id)) AS spans "
            f"FROM spans WHERE {where} GROUP BY trace_id"
        )
        return {row["trace_id"]: int(row["spans"]) for row in self.rows(sql)}

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = DEADLINE_S) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


def until(condition: Callable[[], object], what: str) -> object:
    """Return the first true value of `condition`, asked until a deadline."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"never saw {what}")


@contextmanager
def processors(folder: Path) -> Iterator[Callable[..., Processor]]:
    """Lend what starts processors, on `folder` unless told; those that still run are killed."""
    started: list[Processor] = []

    def start(store: Path | str | None = None, toml: str = "") -> Processor:
        log = folder / f"processor-{len(started)}.log"
        processor = Processor(store or folder / "store", toml, log)
        started.append(processor)
        processor.wait_until_open()
        return processor

    yield start
    for processor in started:
        if processor.process.poll() is None:
            processor.process.kill()
        processor.process.wait()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Processor]]:
    """Starts processors for one test, on its tmp_path / "store" unless told."""
    with processors(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def serve_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Processor]]:
    """Starts processors that all tests of a module ask."""
    with processors(tmp_path_factory.mktemp("module")) as start:
        yield start


@pytest.fixture
def tollway() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs one command of the CLI to its end."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*TOLLWAY, *map(str, arguments)],
            capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip

    return run


@pytest.fixture(name="until", scope="session")
def until_fixture() -> Callable[[Callable[[], object], str], object]:
    """Waits for a condition."""
    return until
