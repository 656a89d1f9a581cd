"""Damaged parts: those the engine set aside when it opened the store, and those found on reading.

A file that is damaged inside is found by nobody until it is read: then the read, the merge or the
roll-up that needs it fails, again and again. So the engine's own counts of such errors are watched,
the tables are checked when one rises, and the parts at fault are set aside as at an opening.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from tollway_processor.errors import StoreError
from tollway_processor.store.client import Store

logger = logging.getLogger(__name__)

_SET_ASIDE = """
SELECT table, name, path
FROM system.detached_parts
WHERE database = currentDatabase() AND (reason LIKE 'broken%' OR reason = '')
ORDER BY table, name
"""
# Checksums (40), corrupted data (246), decompression (271), a file that lacks (226), is gone (107)
# or cut short (33), a codec that is none (432): what bytes that changed on the disk lead to. What
# senders garble is found before the engine has it, and leads to others.
_ERRORS = (
    "SELECT sum(value) AS n FROM system.errors WHERE code IN (33, 40, 107, 226, 246, 271, 432)"
)
_TABLES = """
SELECT name
FROM system.tables
WHERE database = currentDatabase() AND engine LIKE '%MergeTree'
ORDER BY name
"""
_NAMED = 3
_REST_S = 600.0  # between two checks: each reads all that is stored


class Damage:
    """What is known of damage in one store; `told` is a line for people, empty without any."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen = 0
        self._checked_at = float("-inf")
        self.told = self._tell()

    def look(self) -> None:
        """Check the tables if reads have failed on damage since; set the parts at fault aside.

        They are not lost: they lie in their table's `detached` folder.
        """
        if self.told:
            self.told = self._tell()  # an operator may have deleted them meanwhile
        if time.monotonic() - self._checked_at < _REST_S:
            return
        errors = self._errors()
        if errors <= self._seen:
            return
        self._checked_at = time.monotonic()
        for table, part, fault in list(self._broken()):
            self._set_aside(table, part, fault)
        self._seen = self._errors()  # the check itself counts as a read that failed
        self.told = self._tell()

    def _errors(self) -> int:
        return int(str(self._store.rows(_ERRORS)[0]["n"]))

    def _set_aside(self, table: str, part: str, fault: str) -> None:
        try:
            self._store.command(f"ALTER TABLE `{table}` DETACH PART '{part}'")
        except StoreError as error:  # a merge has just replaced it, say
            logger.warning("%s %s is damaged (%s) and stays: %s", table, part, fault, error)
        else:
            logger.error("%s %s is damaged and set aside: %s", table, part, fault)

    def _broken(self) -> Iterator[tuple[str, str, str]]:
        """Yield (table, part, what is wrong with it)."""
        for row in self._store.rows(_TABLES):
            try:
                parts = self._store.rows(
                    f"CHECK TABLE `{row['name']}` SETTINGS check_query_single_value_result = 0"
                )
            except StoreError as error:
                logger.warning("%s cannot be checked: %s", row["name"], error)
                continue
            for part in parts:
                if not part["is_passed"]:
                    yield str(row["name"]), str(part["part_path"]), str(part["message"])

    def _tell(self) -> str:
        parts = [
            f"{row['table']} {row['name']} ({row['path']})" for row in self._store.rows(_SET_ASIDE)
        ]
        if not parts:
            return ""
        more = f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
        return (
            f"{len(parts)} damaged parts were set aside and are not read: "
            f"{', '.join(parts[:_NAMED])}{more}; send those spans again or restore a copy of the "
            "store, run `tollway rebuild`, then delete these folders"
        )
