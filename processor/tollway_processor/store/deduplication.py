"""Whether a server's plain tables know a block that is sent again; replicated ones do anyway."""

from __future__ import annotations

import logging

from tollway_processor.errors import TollwayError
from tollway_processor.store.client import Store

logger = logging.getLogger(__name__)

# What a commit writes, through its Null tables.
TABLES = ("spans", "messages", "scores", "touched_traces", "refused_spans")
# Blocks whose tokens a table remembers; the second sending follows the first one at once.
_WINDOW = "non_replicated_deduplication_window = 100"
_WITHOUT = """
SELECT name
FROM system.tables
WHERE database = currentDatabase() AND name IN {tables:Array(String)}
    AND engine LIKE '%MergeTree' AND engine NOT LIKE 'Replicated%' AND engine NOT LIKE 'Shared%'
    AND position(engine_full, {window:String}) = 0
"""


def remember_blocks(store: Store) -> list[str]:
    """Make TABLES remember the tokens of blocks; return the tables changed.

    Where the user may not, a block whose answer was lost stands twice until it is merged: rows have
    an identity, so it counts once all the same.
    """
    changed = []
    for row in store.rows(_WITHOUT, {"tables": list(TABLES), "window": _WINDOW}):
        try:
            store.command(f"ALTER TABLE {row['name']} MODIFY SETTING {_WINDOW}")
        except TollwayError as error:
            logger.info("%s keeps no window of deduplication: %s", row["name"], error)
        else:
            changed.append(str(row["name"]))
    return changed
