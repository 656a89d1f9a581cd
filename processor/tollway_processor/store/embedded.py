"""The embedded store: chDB in a folder of its own, held by one process."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from tollway_processor import schema_files
from tollway_processor.ingest import envelope
from tollway_processor.ingest.codec import Codec, Window
from tollway_processor.ingest.statement import Statement
from tollway_processor.pricing import table as price_table
from tollway_processor.pricing.lookup import names_of
from tollway_processor.store.client import Delivery, Parameters, Refusal, Row, Signal
from tollway_processor.store.config import EngineConfig
from tollway_processor.store.damage import Damage
from tollway_processor.store.durability import set_fsync
from tollway_processor.store.engine import Engine, split_columns
from tollway_processor.store.lock import StoreLock
from tollway_processor.store.migrations import migrate

logger = logging.getLogger(__name__)
PURGE_BYTES = 1 << 20  # a smaller batch leaves nothing behind that is worth the call

REFUSALS = """
SELECT request_index, reason, count() AS spans
FROM refused_spans
WHERE refused_at = fromUnixTimestamp64Nano({ingested_at_ns:Int64}, 'UTC')
GROUP BY request_index, reason
ORDER BY request_index, reason
"""
UNPRICED = """
SELECT provider, model, request_model
FROM unpriced_models
WHERE seen_at = fromUnixTimestamp64Nano({ingested_at_ns:Int64}, 'UTC')
"""
WITHOUT_USAGE = """
SELECT DISTINCT lower(provider) AS provider, lower(response_model) AS model,
    lower(request_model) AS request_model
FROM spans
WHERE ingested_at = fromUnixTimestamp64Nano({ingested_at_ns:Int64}, 'UTC')
    AND cost_status = 'no_usage'
"""
DOUBTED = """
SELECT arrayJoin(doubts) AS doubt, uniqExact(trace_id, span_id) AS n
FROM spans
WHERE ingested_at = fromUnixTimestamp64Nano({ingested_at_ns:Int64}, 'UTC')
GROUP BY doubt
"""


class EmbeddedStore:
    """A Store on one folder. Opening it takes the folder's lock and applies migrations.

    Raises StoreHeldError when another process holds the folder, UsageError when it cannot be
    written, StoreError when it is of a newer version.
    """

    is_shared = False

    def __init__(
        self, folder: Path, *, window: Window | None = None, engine: EngineConfig | None = None
    ) -> None:
        config = engine or EngineConfig()
        self.url = f"chdb:{folder}"
        self.folder = folder
        self.doubted: Counter[str] = Counter()
        self.lock = StoreLock(folder)
        self.lock.acquire()
        with ExitStack() as undo:
            undo.callback(self.lock.release)
            self._engine = Engine(str(folder / "data"), memory_bytes=config.memory_bytes)
            undo.callback(self._engine.close)
            self.migrated = migrate(self)
            set_fsync(self, config.fsync)
            self._damage = Damage(self)
            if self.damage:
                logger.warning("%s", self.damage)
            price_table.fill(self)
            self.codec = Codec(self._engine, window=window)
            self.codec.load(price_table.read(self), price_table.read_models(self))
            undo.pop_all()

    def query(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        format: str = "JSONCompact",
        settings: Mapping[str, str] | None = None,
        readonly: bool = False,
    ) -> bytes:
        """See Store.query."""
        return self._engine.query(
            sql, parameters, format=format, settings=settings, readonly=readonly
        )

    def rows(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """See Store.rows."""
        result = json.loads(self._engine.query(sql, parameters, format="JSON") or b'{"data": []}')
        return list(result["data"])

    def command(self, sql: str, parameters: Parameters | None = None) -> None:
        """See Store.command."""
        self._engine.query(sql, parameters, format="Null")

    def stream(
        self, sql: str, *, format: str, settings: Mapping[str, str] | None = None
    ) -> Iterator[bytes]:
        """See Store.stream."""
        return self._engine.stream(sql, format=format, settings=settings)

    def insert_block(self, table: str, columns: Sequence[str], format: str, block: bytes) -> None:
        """See Store.insert_block."""
        with envelope.as_file([block]) as path:
            self._engine.query(
                f"INSERT INTO {table} ({split_columns(columns)}) FROM INFILE '{path}' "
                f"FORMAT {format}"
            )

    def ingest(
        self, signal: Signal, batch: Sequence[Delivery], *, token: str, ingested_at_ns: int
    ) -> list[Refusal]:
        """See Store.ingest. The token is not needed here: every table is keyed by identity."""
        parameters: dict[str, object] = dict(self.codec.window.parameters(ingested_at_ns))
        batch, has_messages = self.codec.with_messages(signal, batch)

        def run(statement: Statement, path: str) -> None:
            parameters["source"] = path
            head = f"INSERT INTO {statement.target} ({statement.columns})"
            self.command(f"{head} {statement.select} {statement.settings}", parameters)

        statement = self.codec.decode(signal, batch, run)
        if has_messages:
            self.command(
                schema_files.text("ingest/messages.sql"), {"ingested_at_ns": ingested_at_ns}
            )
        refused = self.rows(REFUSALS, {"ingested_at_ns": ingested_at_ns})
        if signal == "traces" and self._learned(ingested_at_ns):
            # The same rows again, now priced: identity makes the second run replace the first.
            statement = self.codec.decode(signal, batch, run)
        if statement.is_foreign:
            doubted = self.rows(DOUBTED, {"ingested_at_ns": ingested_at_ns})
            self.doubted.update({str(row["doubt"]): int(str(row["n"])) for row in doubted})
        if sum(len(delivery.body) for delivery in batch) > PURGE_BYTES:
            self._engine.give_back_memory()
        return [
            Refusal(int(str(r["request_index"])), str(r["reason"]), int(str(r["spans"])))
            for r in refused
        ]

    def _learned(self, ingested_at_ns: int) -> bool:
        at = {"ingested_at_ns": ingested_at_ns}
        is_news = self.codec.prices.learn(names_of(self.rows(UNPRICED, at)))
        if self.codec.prices.charges_by_the_call:
            silent = names_of(self.rows(WITHOUT_USAGE, at))
            is_news |= self.codec.prices.learn(silent, only_new=True)
        return is_news

    @property
    def damage(self) -> str:
        """One line on parts that were set aside as damaged, empty when there are none."""
        return self._damage.told

    def look_for_damage(self) -> None:
        """Find what reads have stumbled over since the last look, and set it aside."""
        self._damage.look()

    def session(self) -> AbstractContextManager[Any]:
        """Lend the SQL door an engine session of its own, closed after use."""
        return self._engine.session(fresh=True)

    def now_ns(self) -> int:
        """See Store.now_ns."""
        return time.time_ns()

    def close(self) -> None:
        """See Store.close."""
        self._engine.close()
        self.lock.release()
