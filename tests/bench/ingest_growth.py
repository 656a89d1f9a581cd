"""Own the growth of the ingest benchmark: does the rate fall when the store holds millions of spans?

The stored rows are copies of real ones with new ids over thirty days, made inside the engine.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import ingest_load
from ingest_meters import cpu_s, memory_bytes
from ingest_result import table
from ingest_tollway import serving

from tollway_processor.store.engine import MIB, Engine

_LOAD = {"protocol": "http", "connections": 64, "requests": 256}
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


def report(work: Path, templates: Path, rows: int) -> str:
    """Return a table of the rate on an empty store and on one of `rows` spans."""
    store = work / "growth"
    lines = [_measured(store, templates, 1)]
    subprocess.run([sys.executable, __file__, str(store / "data"), str(rows)], check=True)
    lines.append(_measured(store, templates, 2))
    shutil.rmtree(store)
    return table(
        ("spans stored before", "acknowledged spans/s", "spans per CPU-s", "p99 ms", "peak MiB"),
        lines,
    )


def _measured(store: Path, templates: Path, seed: int) -> tuple[str, ...]:
    with serving(store) as server:
        stored = server.value("SELECT count() FROM spans SETTINGS final = 0")
        server.wait_until_quiet()
        before_s = cpu_s(server.process.pid)
        load = ingest_load.run(server.addresses["http"], templates, **_LOAD, seed=seed)
        server.wait_until_quiet()
        took_s = cpu_s(server.process.pid) - before_s
        peak = memory_bytes(server.process.pid, name="VmHWM") / MIB
        server.stop()
    return (
        f"{stored:,}", f"{load.spans / load.seconds:,.0f}", f"{load.spans / took_s:,.0f}",
        f"{load.p99_ms:,.0f}", f"{peak:,.0f}",
    )  # fmt: skip


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
