"""What came to stand behind a watermark after that had passed; only a shared store has such.

Another processor's commit may carry a stamp below this one's watermark and become visible later,
and that processor may be gone before it rolls it up. Recomputing twice is harmless, missing is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tollway_processor import schema_files
from tollway_processor.store.client import Store

# Above what one commit may last: the decoding, and two sendings to a slow server.
LATEST_NS = 120 * 10**9
_MOST_RANGES = 4  # each costs some statements; beyond, one range over all


class Latecomers:
    """Remembers which stamps of a table were there when its watermark passed them.

    query: file below schemas/rollup that lists a table's stamps. After a start none is remembered,
    so that all of the last LATEST_NS count as late once.
    """

    def __init__(self, store: Store, query: str) -> None:
        self._store = store
        self._sql = schema_files.text(f"rollup/{query}.sql")
        self._known: set[int] = set()

    def stamps(self, after_ns: int, until_ns: int) -> list[int]:
        """Return the stamps above `after_ns` up to `until_ns` that the store holds now, rising."""
        if not self._store.is_shared:
            return []
        rows = self._store.rows(self._sql, {"after_ns": after_ns, "until_ns": until_ns})
        return [int(str(row["stamp"])) for row in rows]

    def remember(self, stamps: Iterable[int]) -> None:
        """Note that these have been recomputed."""
        self._known.update(stamps)

    def ranges(self, watermark_ns: int) -> list[list[int]]:
        """Return the unknown stamps up to the watermark, in runs that no known stamp parts."""
        oldest_ns = watermark_ns - LATEST_NS
        self._known = {stamp for stamp in self._known if stamp > oldest_ns}
        runs = _runs(self.stamps(oldest_ns, watermark_ns), self._known)
        return runs if len(runs) <= _MOST_RANGES else [[stamp for run in runs for stamp in run]]


def _runs(stamps: Sequence[int], known: set[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    is_in_run = False
    for stamp in stamps:
        if stamp in known:
            is_in_run = False
            continue
        if not is_in_run:
            runs.append([])
        runs[-1].append(stamp)
        is_in_run = True
    return runs
