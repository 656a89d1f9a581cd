"""Own the growth of the ingest benchmark: does the rate fall when the store holds millions of spans?

The stored rows are copies of real ones with new ids over thirty days, made inside the engine. Loads
on an empty and on the full store take turns, so that both see the same machine.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import ingest_load
from ingest_meters import cpu_s, memory_bytes
from ingest_result import table
from ingest_tollway import serving

from tollway_processor.store.engine import MIB, Engine

_LOAD = {"protocol": "http", "connections": 64, "requests": 256}
_WARM_UP = {"protocol": "http", "connections": 4, "requests": 8}
_TURNS = 3
_ROWS_A_STATEMENT = 250_000
_DAYS = 30
_COPY = """
INSERT INTO {table}
SELECT * EXCEPT copy REPLACE (
    lower(hex(sipHash128(trace_id, {turn}, copy))) AS trace_id,
    started_at - toIntervalSecond({age_s}) AS started_at)
FROM (SELECT * FROM {table} WHERE ingested_at >= started_at LIMIT {sample})
ARRAY JOIN range({copies}) AS copy
SETTINGS max_partitions_per_insert_block = 0, max_threads = 1
"""


class Look(NamedTuple):
    """One load on a store; CPU counts its roll-up and the merges that it set off."""

    stored: float
    spans_per_s: float
    per_cpu_s: float
    p99_ms: float
    peak_mib: float


def report(work: Path, templates: Path, rows: int) -> str:
    """Return a table of the rate on an empty store and on one of `rows` spans, taken in turns."""
    full = work / "full"
    _measured(full, templates, 0)  # what the copies are made of
    subprocess.run([sys.executable, __file__, str(full / "data"), str(rows)], check=True)
    looks: dict[str, list[Look]] = {"an empty store": [], "a full store": []}
    for turn in range(1, _TURNS + 1):
        empty = work / f"empty-{turn}"
        looks["an empty store"].append(_measured(empty, templates, turn))
        shutil.rmtree(empty)
        looks["a full store"].append(_measured(full, templates, turn))
    shutil.rmtree(full)
    medians = {name: _median(told) for name, told in looks.items()}
    lines = [(name, *(f"{value:,.0f}" for value in look)) for name, look in medians.items()]
    fall = 1 - medians["a full store"].per_cpu_s / medians["an empty store"].per_cpu_s
    return table(
        ("load on", "spans stored before", "acknowledged spans/s", "spans per CPU-s", "p99 ms",
         "peak MiB"),
        lines,
    ) + f"\n\nThe rate per CPU-second falls by {fall:.1%}."  # fmt: skip


def _median(looks: list[Look]) -> Look:
    return Look(*map(statistics.median, zip(*looks, strict=True)))


def _measured(store: Path, templates: Path, seed: int) -> Look:
    with serving(store) as server:
        stored = server.value("SELECT count() FROM spans SETTINGS final = 0")
        ingest_load.run(server.addresses["http"], templates, **_WARM_UP, seed=seed + 1000)
        server.wait_until_quiet()
        before_s = cpu_s(server.process.pid)
        load = ingest_load.run(server.addresses["http"], templates, **_LOAD, seed=seed)
        server.wait_until_quiet()
        took_s = cpu_s(server.process.pid) - before_s
        peak = memory_bytes(server.process.pid, name="VmHWM") / MIB
        server.stop()
    return Look(stored, load.spans / load.seconds, load.spans / took_s, load.p99_ms, peak)


def _fill(folder: str, rows: int) -> None:
    engine = Engine(folder, memory_bytes=3072 * MIB)
    count = int(engine.query("SELECT count() FROM spans", format="TSV"))
    sample = min(count, 50_000)
    copies = _ROWS_A_STATEMENT // sample
    for turn in range((rows - count) // (copies * sample) + 1):
        age_s = (1 + turn % _DAYS) * 86_400
        for name in ("spans", "messages"):
            sql = _COPY.format(table=name, turn=turn, age_s=age_s, sample=sample, copies=copies)
            engine.query(sql, format="Null")
    engine.close()


if __name__ == "__main__":
    _fill(sys.argv[1], int(sys.argv[2]))
