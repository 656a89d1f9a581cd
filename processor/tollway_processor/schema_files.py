"""The SQL and schema files that ship with the processor, read by name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_PART = re.compile(r"@(\w+)")
SCHEMAS = Path(__file__).parent / "schemas"


@cache
def text(name: str) -> str:
    """Return the file `name`, a path below schemas/ such as "rollup/traces.sql"."""
    return (SCHEMAS / name).read_text(encoding="utf-8")


@cache
def with_parts(name: str) -> str:
    """Return the file `name` with each @part spelled out: rollup/parts/part.sql, headless."""
    return _PART.sub(lambda found: _part(found[1]), text(name))


def _part(name: str) -> str:
    _, _, sql = text(f"rollup/parts/{name}.sql").partition("\n")
    return sql.rstrip()


def names(folder: str, suffix: str = ".sql") -> list[str]:
    """Return the sorted file names of one folder below schemas/."""
    return sorted(p.name for p in (SCHEMAS / folder).iterdir() if p.suffix == suffix)


def statements(sql: str) -> list[str]:
    """Split a file of statements: each ends with a semicolon at the end of a line."""
    parts = re.split(r";\s*(?:\n|$)", sql)
    return [part.strip() for part in parts if _has_code(part)]


def _has_code(part: str) -> bool:
    return any(line.strip() and not line.strip().startswith("--") for line in part.splitlines())
