"""Own the cost per stage: what a span takes on its way, in CPU microseconds, stage by stage.

`python ingest_profile.py FOLDER TEMPLATES` prints them as JSON. Stages run alone, in the process
that has the engine, so that each is the CPU time of nothing else.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ingest_engine import insert, native_blocks
from ingest_requests import SPANS, endless
from ingest_result import table
from ingest_tollway import TABLES

from tollway_processor.ingest import envelope
from tollway_processor.ingest.batcher import Receipt
from tollway_processor.ingest.counters import Counters
from tollway_processor.receive.auth import Tokens
from tollway_processor.receive.http import HttpReceiver, Readiness
from tollway_processor.receive.intake import Intake
from tollway_processor.receive.limits import Limits
from tollway_processor.store.client import Delivery, Signal
from tollway_processor.store.config import MIB, EngineConfig
from tollway_processor.store.embedded import EmbeddedStore

REQUESTS = 32
REPEATS = 3


def report(work: Path, templates: Path) -> str:
    """Return a table of stages with their CPU time a span, measured in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, str(work / "profile"), str(templates)],
        stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    told: dict[str, float] = json.loads(done.stdout)
    plan_ms = told.pop("plan_ms")
    rows = [(stage, f"{cost:.1f}") for stage, cost in told.items()]
    rows.append(("sum", f"{sum(told.values()):.1f}"))
    return f"A commit costs {plan_ms:.0f} ms of CPU before its first span.\n\n" + table(
        ("stage", "CPU µs a span"), rows
    )


class _Sink:
    """A batcher that stores nothing."""

    async def submit(
        self, signal: Signal, body: bytes, project: str = "", *, is_replay: bool = False
    ) -> Receipt:
        return Receipt()


async def _receive_us(templates: Path, requests: int) -> float:
    """CPU of reading, checking and answering over HTTP, without a store."""
    intake = Intake(_Sink(), Limits(), Counters())
    receiver = HttpReceiver(intake, Tokens({}), readiness=lambda: Readiness(True, ""))
    await receiver.start("127.0.0.1:0")
    before_s = time.process_time()
    load = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("ingest_load.py")),
        f"http://127.0.0.1:{receiver.port}", str(templates),
        "--connections", "8", "--requests", str(requests), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    await load.wait()
    cpu_s = time.process_time() - before_s
    await receiver.stop()
    return cpu_s / requests / SPANS * 1e6


def _least_s(work: Callable[[], object]) -> float:
    """CPU seconds of the cheapest of some repeats: a busy machine only adds."""
    seconds = []
    for _ in range(REPEATS):
        before_s = time.process_time()
        work()
        seconds.append(time.process_time() - before_s)
    return min(seconds)


class _Engine:
    """The store's stages, each timed for one batch."""

    def __init__(self, store: EmbeddedStore, bodies: list[bytes]) -> None:
        self._store = store
        self._batch = [Delivery(body, "") for body in bodies]
        self._spans = len(bodies) * SPANS
        self._statement = store.codec.statement("traces", self._batch)

    def _read_s(self, select: str, batch: list[Delivery]) -> float:
        sql = f"{select} {self._statement.settings}"

        def read() -> None:
            with envelope.as_file(envelope.delimited(batch)) as path:
                window = self._store.codec.window.parameters(time.time_ns())
                self._store.query(sql, {**window, "source": path}, format="Null")

        return _least_s(read)

    def stages(self) -> dict[str, float]:
        """Return the CPU µs a span of each stage, and the ms that a commit costs anyway."""
        store, spans = self._store, self._spans
        full = self._statement.select
        source = full[full.index("FROM file(") :]
        source = source[: source.index("request_index UInt32')") + len("request_index UInt32')")]
        nothing = [Delivery(b"", "")]
        plan_s = _least_s(lambda: self._ingest(nothing))
        full_s = self._read_s(full, self._batch) - self._read_s(full, nothing)
        decode_s = self._read_s(f"SELECT resource_spans {source}", self._batch)
        told = {"decode": decode_s, "normalise and price": full_s - decode_s}
        store.command("SYSTEM STOP MERGES")
        whole_s = _least_s(lambda: self._ingest(self._batch)) - plan_s
        for block in native_blocks(store, [delivery.body for delivery in self._batch]):
            told[f"write {block[0]}"] = _least_s(lambda block=block: insert(store, block))
        told["stage, views, refusals"] = max(whole_s - sum(told.values()), 0.0)
        told[f"planning, {len(self._batch)} requests a commit"] = plan_s
        store.command("SYSTEM START MERGES")
        for name in TABLES:  # else the others' merges would run beside the one that is timed
            store.command(f"OPTIMIZE TABLE {name} FINAL")
        for name in TABLES:
            told[f"merge {name} once"] = self._merge_s(name)
        return {stage: cost / spans * 1e6 for stage, cost in told.items()} | {
            "plan_ms": plan_s * 1e3
        }

    def _ingest(self, batch: list[Delivery]) -> None:
        now_ns = time.time_ns()
        self._store.ingest("traces", batch, token=str(now_ns), ingested_at_ns=now_ns)

    def _merge_s(self, name: str) -> float:
        """CPU of one merge of a table, scaled to the batch."""
        sql = f"SELECT count() AS rows, count() / {self._spans} AS batches FROM {name}"
        batches = float(str(self._store.rows(sql)[0]["batches"]))
        share = 0.25 if name == "touched_traces" else 1.0  # a row a trace
        before_s = time.process_time()
        self._store.command(f"OPTIMIZE TABLE {name} FINAL")
        return (time.process_time() - before_s) / batches * share


def main() -> None:
    """Measure in this process and print the stages as JSON."""
    folder, templates = Path(sys.argv[1]), Path(sys.argv[2])
    told = {"receive and check": asyncio.run(_receive_us(templates, 4 * REQUESTS))}
    store = EmbeddedStore(folder, engine=EngineConfig(memory_bytes=1536 * MIB))
    bodies = list(itertools.islice(endless(templates, 3), REQUESTS))
    print(json.dumps(told | _Engine(store, bodies).stages()))
    store.close()


if __name__ == "__main__":
    main()
