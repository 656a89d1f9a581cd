"""Brings a store's tables to the version this processor knows, each file applied once.

The entrance of ingest (schemas/ingest/stages.sql) holds no row: it is made anew when a table or the
file itself has changed.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import nullcontext

from tollway_processor import schema_files
from tollway_processor.errors import RetryableError, StoreError
from tollway_processor.store.client import Store
from tollway_processor.store.turn import Turn

LEDGER = """
CREATE TABLE IF NOT EXISTS migrations
(
    name       String                 COMMENT 'file below schemas/tables',
    sha256     String                 COMMENT 'digest of the file as applied, hex',
    applied_at DateTime64(3, 'UTC')   COMMENT 'when, UTC'
)
ENGINE = MergeTree
ORDER BY name
COMMENT 'Which schema files this store has.'
"""


STAGES = "ingest/stages.sql"


def digest(name: str) -> str:
    """Return the sha256 of a migration file, hex."""
    return _sha256(f"tables/{name}")


def _sha256(path: str) -> str:
    return hashlib.sha256(schema_files.text(path).encode()).hexdigest()


def migrate(store: Store) -> list[str]:
    """Apply what is missing, in the order of the names, and return the names applied.

    On a server one process at a time does so, the others wait for it. Raises StoreError when a file
    that was applied has changed since, the store has files that this version does not know (it is
    older than the store), or the user has no right to change tables.
    """
    missing, is_entered = _state(store)
    if is_entered and not missing:
        return []
    try:
        with Turn(store) if store.is_shared else nullcontext():
            missing, is_entered = _state(store)
            for name in missing:
                _apply(store, name)
            if missing or not is_entered:
                _make_stages(store)
    except (StoreError, RetryableError) as error:
        behind = missing[0] if missing else STAGES
        raise StoreError(
            f"the store's tables cannot be brought up to date ({behind} and later): {error}; let "
            "`tollway migrate` run as a user who may create and alter tables"
        ) from error
    return missing


def _state(store: Store) -> tuple[list[str], bool]:
    """Return the files not applied yet, and whether the entrance stands as this version has it."""
    applied = _applied(store)
    entered = applied.pop(STAGES, "") == _sha256(STAGES)
    known = schema_files.names("tables")
    _check(applied, known)
    return [name for name in known if name not in applied], entered


def _applied(store: Store) -> dict[str, str]:
    """Read the ledger, making it where there is none: a user without that right may still read."""
    (found,) = store.rows("EXISTS TABLE migrations")
    if not found["result"]:
        store.command(LEDGER)
    rows = store.rows("SELECT name, sha256 FROM migrations ORDER BY applied_at")
    return {str(row["name"]): str(row["sha256"]) for row in rows}


def _check(applied: dict[str, str], known: list[str]) -> None:
    strangers = sorted(set(applied) - set(known))
    if strangers:
        raise StoreError(
            f"the store was written by a newer Tollway (it has {strangers[-1]}); upgrade this one"
        )
    for name, sha256 in applied.items():
        if sha256 != digest(name):
            raise StoreError(
                f"the schema file {name} differs from the one this store was made with; "
                "restore it, and put the change into a new file"
            )


def _apply(store: Store, name: str) -> None:
    # A crash between two statements of a file leaves some done: what exists is passed over.
    for statement in schema_files.statements(schema_files.text(f"tables/{name}")):
        store.command(_if_not_exists(statement))
    _note(store, name, digest(name))


def _make_stages(store: Store) -> None:
    _note(store, STAGES, "")  # a crash in between must not look like the end
    for statement in schema_files.statements(schema_files.text(STAGES)):
        store.command(statement)
    _note(store, STAGES, _sha256(STAGES))


def _note(store: Store, name: str, sha256: str) -> None:
    store.command(
        "INSERT INTO migrations SELECT {name:String}, {sha256:String}, now64(3)",
        {"name": name, "sha256": sha256},
    )


def _if_not_exists(statement: str) -> str:
    for kind in ("CREATE TABLE", "CREATE VIEW", "CREATE MATERIALIZED VIEW", "ADD COLUMN"):
        statement = re.sub(rf"\b{kind} (?!IF )", f"{kind} IF NOT EXISTS ", statement)
    return statement
