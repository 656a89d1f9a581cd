"""Damaged parts that the engine set aside when it opened the store, told to the operator."""

from __future__ import annotations

from tollway_processor.store.client import Store

_BROKEN = """
SELECT table, name
FROM system.detached_parts
WHERE database = currentDatabase() AND reason LIKE 'broken%'
ORDER BY table, name
"""
_NAMED = 3


def damage(store: Store) -> str:
    """Return one line on the parts set aside as broken, empty text when there are none.

    They are not lost: they lie in the table's `detached` folder until somebody drops them.
    """
    parts = [f"{row['table']} {row['name']}" for row in store.rows(_BROKEN)]
    if not parts:
        return ""
    more = f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    return (
        f"{len(parts)} damaged parts were set aside and are not read: "
        f"{', '.join(parts[:_NAMED])}{more}; restore them from a backup, or send those spans "
        "again, then remove them with ALTER TABLE … DROP DETACHED PART"
    )
