"""What the process and its store weigh, as gauges; read in a thread, so that no scrape waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from functools import partial
from pathlib import Path

from tollway_processor import schema_files
from tollway_processor.errors import TollwayError
from tollway_processor.ingest.counters import Counters, Series, labels_of
from tollway_processor.ingest.dead_letters import DeadLetters
from tollway_processor.ingest.notices import Notices
from tollway_processor.store.client import Store
from tollway_processor.store.embedded import EmbeddedStore

logger = logging.getLogger(__name__)

INTERVAL_S = 10.0
_DAY_S = 86_400
_STATM = Path("/proc/self/statm")
# Column of queries/store_vitals.sql to metric.
_GAUGES = {
    "engine_memory_bytes": "tollway_engine_memory_bytes",
    "merges": "tollway_store_merges",
    "parts": "tollway_store_parts",
    "stored_rows": "tollway_store_rows",
    "stored_bytes": "tollway_store_bytes",
    "oldest_span_s": "tollway_oldest_span_timestamp_seconds",
}


class Vitals:
    """The store's size and memory as of the last reading; NaN before the first."""

    def __init__(
        self, store: Store, counters: Counters, dead_letters: DeadLetters, retention_days: int
    ) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._notices = Notices(logger, period_s=600.0)
        self._values = dict.fromkeys([*_GAUGES, "dead_letter_bytes"], float("nan"))
        self._read_at = time.monotonic()
        self._register(counters, retention_days)

    def read(self) -> None:
        """Ask the engine and the disk once; an engine that refuses is logged, not raised."""
        self._values["dead_letter_bytes"] = self._dead_letters.held_bytes()
        try:
            (row,) = self._store.rows(schema_files.text("queries/store_vitals.sql"))
            if isinstance(self._store, EmbeddedStore):
                self._store.look_for_damage()
        except TollwayError as error:
            self._notices.warn("the store's metrics are unknown", str(error))
            return
        except Exception:  # the one place that answers for a bug: the next reading may go well
            logger.exception("the store's metrics are unknown")
            return
        self._values.update({column: float(str(row[column])) for column in _GAUGES})
        self._read_at = time.monotonic()

    async def run(self, stopping: asyncio.Event) -> None:
        """Read again and again until `stopping` is set."""
        while not stopping.is_set():
            await asyncio.to_thread(self.read)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), INTERVAL_S)

    def _register(self, counters: Counters, retention_days: int) -> None:
        for column, name in _GAUGES.items():
            counters.gauge(name, partial(self._values.__getitem__, column))
        counters.gauge(
            "tollway_dead_letter_bytes", partial(self._values.__getitem__, "dead_letter_bytes")
        )
        counters.gauges("tollway_doubted_counts_total", self._doubted, kind="counter")
        counters.gauge("tollway_vitals_age_seconds", lambda: time.monotonic() - self._read_at)
        counters.gauge("tollway_retention_seconds", lambda: retention_days * _DAY_S)
        started_s = time.time()
        counters.gauge("process_start_time_seconds", lambda: started_s)
        counters.gauge("process_cpu_seconds_total", time.process_time, kind="counter")
        if _STATM.exists():  # Linux
            counters.gauge("process_resident_memory_bytes", _resident_bytes)

    def _doubted(self) -> Series:
        """Counts that were not believed, by column and cause: "input_tokens: negative"."""
        told = ((doubt.split(": "), n) for doubt, n in list(self._store.doubted.items()))
        return {labels_of(column=column, cause=cause): n for (column, cause), n in told}


def _resident_bytes() -> int:
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
