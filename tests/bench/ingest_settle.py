"""Own the end of a run: a process that opens a stopped store, merges all of it, and weighs it.

Every contender's store is merged by the same engine with the same settings.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tollway_processor.store.engine import MIB, Engine

# What the background has merged meanwhile is not merged again.
_MERGE = "OPTIMIZE TABLE {table} FINAL SETTINGS optimize_skip_merged_partitions = 1"
_WEIGHTS = """
SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes
FROM system.parts
WHERE active AND database = currentDatabase()
GROUP BY table
"""


class Settled(NamedTuple):
    """A store after all merges: CPU seconds they took, rows and bytes on disk by table."""

    cpu_s: float
    rows: dict[str, int]
    bytes: dict[str, int]


def settle(folder: Path, tables: tuple[str, ...]) -> Settled:
    """Merge `tables` of the store in `folder` to one part a partition, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, str(folder), *tables],
        stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    return Settled(**json.loads(done.stdout))


def main() -> None:
    """Merge the tables named on the command line and print the outcome as JSON."""
    folder, *tables = sys.argv[1:]
    engine = Engine(folder, memory_bytes=2048 * MIB)
    started = time.process_time()
    for table in tables:
        engine.query(_MERGE.format(table=table), format="Null")
    cpu_s = time.process_time() - started
    weights = json.loads(engine.query(_WEIGHTS, format="JSON"))["data"]
    engine.close()
    settled = Settled(
        cpu_s,
        {row["table"]: int(row["rows"]) for row in weights},
        {row["table"]: int(row["bytes"]) for row in weights},
    )
    print(json.dumps(settled._asdict()))


if __name__ == "__main__":
    main()
