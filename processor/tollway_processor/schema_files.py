"""The SQL and schema files that ship with the processor, read by name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

SCHEMAS = Path(__file__).parent / "schemas"


@cache
def text(name: str) -> str:
    """Return the file `name`, a path below schemas/ such as "rollup/traces.sql"."""
    return (SCHEMAS / name).read_text(encoding="utf-8")


def names(folder: str, suffix: str = ".sql") -> list[str]:
    """Return the sorted file names of one folder below schemas/."""
    return sorted(p.name for p in (SCHEMAS / folder).iterdir() if p.suffix == suffix)


def statements(sql: str) -> list[str]:
    """Split a file of statements: each ends with a semicolon at the end of a line."""
    parts = re.split(r";\s*(?:\n|$)", sql)
    return [part.strip() for part in parts if _has_code(part)]


def _has_code(part: str) -> bool:
    return any(line.strip() and not line.strip().startswith("--") for line in part.splitlines())
