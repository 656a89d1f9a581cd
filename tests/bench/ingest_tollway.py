"""Own the contender Tollway of the ingest benchmark: the real `tollway serve` on a new store."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ingest_load
from ingest_meters import cpu_s, memory_bytes, until, wait_until_quiet
from ingest_result import Result
from ingest_settle import settle

from tollway_processor.door.client import DoorClient

# The first spans of a model are decoded twice: the second time with its price.
_WARM_UP = {"protocol": "http", "connections": 4, "requests": 8}
_COMMITS = "tollway_commit_seconds_count"
TABLES = ("spans", "messages", "touched_traces")
_NOT_ROLLED_UP = """
SELECT count()
FROM touched_traces
WHERE ingested_at > (SELECT max(watermark) FROM rollup_progress WHERE stage = 'traces')
"""


class Server:
    """A running `tollway serve`."""

    def __init__(self, folder: Path, toml: str = "") -> None:
        config = folder.with_suffix(".toml")
        config.write_text(toml)
        self.folder = folder
        self.log = folder.with_suffix(".log")
        started = time.perf_counter()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "tollway_processor.cli", "serve",
                    "--store", f"chdb:{folder}", "--config", str(config),
                    "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--sql", "127.0.0.1:0",
                ],
                stderr=log,
            )  # fmt: skip
        self.addresses = until(self._published, f"tollway serve, see {self.log}")
        with urllib.request.urlopen(self.addresses["http"] + "/healthz", timeout=30):
            self.first_answer_s = time.perf_counter() - started

    def _published(self) -> dict[str, str] | None:
        try:
            told = json.loads((self.folder / "tollway.lock").read_text())
        except (OSError, ValueError):
            return None
        return told if told.get("pid") == self.process.pid and told.get("http") else None

    def value(self, sql: str) -> int:
        """Return the one number that a SELECT gives through the SQL door."""
        return int(DoorClient(self.addresses["sql"]).query(sql, format="TSV"))

    def metric(self, name: str) -> float:
        """Return one number of /metrics, 0 when it is not there."""
        with urllib.request.urlopen(self.addresses["http"] + "/metrics", timeout=30) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(f"{name} "):
                    return float(line.split()[-1])
        return 0.0

    def wait_until_quiet(self, has_rollup: bool = True) -> None:
        """Wait until every trace has been rolled up, which rests between its runs, and merges."""
        if has_rollup:
            until(lambda: self.value(_NOT_ROLLED_UP) == 0, "the roll-up", every_s=0.5)
        wait_until_quiet(self.process.pid)

    def stop(self) -> None:
        """End it with SIGTERM and wait until it has."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


@contextmanager
def serving(folder: Path, toml: str = "") -> Iterator[Server]:
    """Run `tollway serve` on a folder; kill it when the block fails."""
    server = Server(folder, toml)
    try:
        yield server
    finally:
        if server.process.returncode is None:
            server.process.kill()
            server.process.wait()


def tollway(
    folder: Path, templates: Path, *, protocol: str, connections: int, requests: int, seed: int,
    has_rollup: bool = True,
) -> Result:  # fmt: skip
    """Send the load to a new store; the CPU counts all of it, with the roll-up and every merge."""
    with serving(folder, "" if has_rollup else "rollup_interval_s = 3600.0\n") as server:
        idle_bytes = _idle_bytes(server)
        warm = ingest_load.run(server.addresses["http"], templates, seed=seed + 1000, **_WARM_UP)
        server.wait_until_quiet(has_rollup)
        commits = -server.metric(_COMMITS)
        before_s = cpu_s(server.process.pid)
        load = ingest_load.run(
            server.addresses[protocol], templates, protocol=protocol, connections=connections,
            requests=requests, seed=seed,
        )  # fmt: skip
        server.wait_until_quiet(has_rollup)
        ran_s = cpu_s(server.process.pid) - before_s
        commits += server.metric(_COMMITS)
        peak_bytes = memory_bytes(server.process.pid, name="VmHWM")
        stored = server.value("SELECT count() FROM spans FINAL")
        if stored != load.spans + warm.spans:
            raise RuntimeError(f"{load.spans + warm.spans} spans acknowledged, {stored} stored")
        server.stop()
    settled = settle(folder / "data", TABLES)
    return Result(
        "Tollway" if has_rollup else "Tollway, not rolling up", load,
        cpu_s=ran_s + settled.cpu_s, loaded_cpu_s=ran_s,
        idle_bytes=idle_bytes, peak_bytes=peak_bytes,
        disk_bytes=sum(settled.bytes[table] for table in TABLES) * load.spans // stored,
        note=f"{load.spans / commits:,.0f} spans a commit",
    )  # fmt: skip


def _idle_bytes(server: Server) -> int:
    """Resident bytes once the start is over and two looks a second apart agree."""
    seen = [memory_bytes(server.process.pid)]

    def is_steady() -> bool:
        seen.append(memory_bytes(server.process.pid))
        return abs(seen[-1] - seen[-2]) < 1 << 20

    until(is_steady, "a steady size", every_s=1.0)
    return seen[-1]
