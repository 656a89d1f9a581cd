"""Own the two baselines of the ingest benchmark without a network: the ceiling, and plain Python.

`python ingest_engine.py native|python FOLDER TEMPLATES REQUESTS SEED` writes into Tollway's own
tables and prints what that took. The ceiling inserts ready-made Native blocks; who made them is not
counted.
"""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ingest_python
import pyarrow as pa
from ingest_load import Load
from ingest_meters import memory_bytes
from ingest_requests import SPANS, endless
from ingest_result import Result
from ingest_settle import settle
from ingest_tollway import TABLES

from tollway_processor.ingest import envelope
from tollway_processor.store.client import Delivery
from tollway_processor.store.config import MIB, EngineConfig
from tollway_processor.store.embedded import EmbeddedStore
from tollway_processor.store.engine import split_columns

REQUESTS_A_COMMIT = 32
_CONTENDERS = {
    "native": "engine's ceiling: ready-made Native blocks",
    "python": "plain Python: protobuf objects to columns",
}
Block = tuple[str, tuple[str, ...], str, bytes]
"""A table, its columns, the format and the rows."""


def baseline(kind: str, folder: Path, templates: Path, *, requests: int, seed: int) -> Result:
    """Run one of the two in a process of its own and merge what it wrote."""
    done = subprocess.run(
        [sys.executable, __file__, kind, str(folder), str(templates), str(requests), str(seed)],
        stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    told: dict[str, Any] = json.loads(done.stdout)
    settled = settle(folder / "data", TABLES)
    return Result(
        _CONTENDERS[kind],
        Load(told["spans"], told["seconds"], 0.0, 0.0, 0),
        cpu_s=told["cpu_s"] + settled.cpu_s,
        loaded_cpu_s=told["cpu_s"],
        idle_bytes=told["idle_bytes"],
        peak_bytes=told["peak_bytes"],
        disk_bytes=sum(settled.bytes.get(table, 0) for table in TABLES),
        what="no network",
    )


def native_blocks(store: EmbeddedStore, bodies: list[bytes]) -> list[Block]:
    """Return the rows that these requests become, a block for each table that they fill."""
    statement = store.codec.statement("traces", [Delivery(body, "") for body in bodies])
    store.command("CREATE TABLE IF NOT EXISTS made ENGINE = Memory AS span_stage")
    parameters: dict[str, object] = dict(store.codec.window.parameters(time.time_ns()))
    with envelope.as_file(envelope.delimited([Delivery(body, "") for body in bodies])) as path:
        store.command(
            f"INSERT INTO made ({statement.columns}) {statement.select} {statement.settings}",
            parameters | {"source": path},
        )
    blocks: list[Block] = []
    for table in TABLES:
        listed = store.rows(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND "
            "table = {table:String} AND default_kind != 'MATERIALIZED' ORDER BY position",
            {"table": table},
        )
        names = tuple(str(row["name"]) for row in listed)
        distinct = "DISTINCT" if table == "touched_traces" else ""
        rows = store.query(f"SELECT {distinct} {split_columns(names)} FROM made", format="Native")
        blocks.append((table, names, "Native", rows))
    store.command("TRUNCATE TABLE made")
    return blocks


def insert(store: EmbeddedStore, block: Block) -> None:
    """Insert a block as the ingest statement inserts: duplicates are left to the merges."""
    name, names, row_format, rows = block
    with envelope.as_file([rows]) as path:
        store.query(
            f"INSERT INTO {name} ({split_columns(names)}) FROM INFILE '{path}' "
            f"SETTINGS optimize_on_insert = 0 FORMAT {row_format}"
        )


def _plain(bodies: list[bytes]) -> list[Block]:
    made = ingest_python.tables(bodies, time.time_ns())
    return [
        (name, tuple(rows.column_names), "ArrowStream", _stream(rows))
        for name, rows in zip(("spans", "messages"), made, strict=True)
    ]


def _stream(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue()


def _run(kind: str, folder: Path, templates: Path, requests: int, seed: int) -> dict[str, Any]:
    store = EmbeddedStore(folder, engine=EngineConfig(memory_bytes=1536 * MIB))
    idle_bytes = memory_bytes(_self())
    fresh = endless(templates, seed)
    cpu_s, seconds = 0.0, 0.0
    for _ in range(requests // REQUESTS_A_COMMIT):
        bodies = list(itertools.islice(fresh, REQUESTS_A_COMMIT))
        blocks = native_blocks(store, bodies) if kind == "native" else []
        cpu_before_s, before_s = time.process_time(), time.perf_counter()
        for block in blocks or _plain(bodies):
            insert(store, block)
        cpu_s += time.process_time() - cpu_before_s
        seconds += time.perf_counter() - before_s
    peak_bytes = memory_bytes(_self(), name="VmHWM")
    store.close()
    return {
        "spans": requests // REQUESTS_A_COMMIT * REQUESTS_A_COMMIT * SPANS,
        "seconds": seconds,
        "cpu_s": cpu_s,
        "idle_bytes": idle_bytes,
        "peak_bytes": peak_bytes,
    }


def _self() -> int:
    return int(Path("/proc/self").resolve().name)


if __name__ == "__main__":
    kind, folder, templates, requests, seed = sys.argv[1:]
    print(json.dumps(_run(kind, Path(folder), Path(templates), int(requests), int(seed))))
