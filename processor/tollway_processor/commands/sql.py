"""`tollway sql`: one SELECT, its result on stdout."""

from __future__ import annotations

import sys

from tollway_processor.commands.reader import reader
from tollway_processor.config import Config


def run_sql(config: Config, sql: str, format: str | None) -> int:
    """Run a SELECT and write its result in a ClickHouse format: on a terminal a table, else TSV."""
    chosen = format or ("PrettyCompact" if sys.stdout.isatty() else "TSV")
    with reader(config) as source:
        result = source.query(sql, format=chosen, settings={"final": "1"})
    sys.stdout.buffer.write(result)
    sys.stdout.buffer.flush()
    return 0
