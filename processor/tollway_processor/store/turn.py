"""One process at a time changes the tables of a server: whoever creates a table of a known name."""

from __future__ import annotations

import logging
import time
from types import TracebackType

from tollway_processor.errors import RetryableError, StoreError
from tollway_processor.store.client import Store

logger = logging.getLogger(__name__)

TABLE = "tollway_migrating"
_TAKE = f"CREATE TABLE {TABLE} (at DateTime) ENGINE = Null COMMENT 'a process changes the tables'"
_AGE = """
SELECT dateDiff('second', metadata_modification_time, now()) AS age_s
FROM system.tables
WHERE database = currentDatabase() AND name = {table:String}
"""
_EXISTS = 57  # TABLE_ALREADY_EXISTS
_STALE_S = 120  # its process was killed: no migration takes that long
_ASK_AGAIN_S = 0.2
_PATIENCE_S = 300.0


class Turn:
    """Held within a `with`; another process waits for it to end, or to be two minutes old.

    Raises StoreError where tables cannot be created, RetryableError when the turn never comes.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> Turn:
        end = time.monotonic() + _PATIENCE_S
        while not self._is_taken():
            if time.monotonic() > end:
                raise RetryableError(f"another process has changed the tables for {_PATIENCE_S} s")
            time.sleep(_ASK_AGAIN_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._store.command(f"DROP TABLE IF EXISTS {TABLE}")

    def _is_taken(self) -> bool:
        try:
            self._store.command(_TAKE)
        except StoreError as error:
            if error.code != _EXISTS:
                raise
        else:
            return True
        rows = self._store.rows(_AGE, {"table": TABLE})
        if rows and int(str(rows[0]["age_s"])) > _STALE_S:
            logger.warning("a process was killed while it changed the tables; going on after it")
            self._store.command(f"DROP TABLE IF EXISTS {TABLE}")
        return False
