"""Whether a commit waits for the disk: the embedded tables' fsync settings, kept as configured."""

from __future__ import annotations

from tollway_processor.store.client import Store

# What an answer promises to keep; everything else is recomputed from these.
TABLES = ("spans", "messages", "scores", "touched_traces")
_STATE = """
SELECT name
FROM system.tables
WHERE database = currentDatabase() AND name IN {tables:Array(String)}
    AND engine_full LIKE '%fsync_after_insert = 1, fsync_part_directory = 1%'
"""


def set_fsync(store: Store, is_on: bool) -> list[str]:
    """Make inserts into TABLES durable, or leave that to the system; return the tables changed.

    Merges need no fsync: their sources stay on disk for eight minutes (old_parts_lifetime), in
    which the system has long written the result.
    """
    durable = {row["name"] for row in store.rows(_STATE, {"tables": TABLES})}
    changed = [name for name in TABLES if (name in durable) != is_on]
    for name in changed:
        store.command(
            f"ALTER TABLE {name} MODIFY SETTING "
            f"fsync_after_insert = {is_on:d}, fsync_part_directory = {is_on:d}"
        )
    return changed
