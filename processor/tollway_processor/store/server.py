"""A ClickHouse server as the store: chDB in this process decodes, the server keeps.

The same ingest SELECT runs here, its Native block goes out with a deduplication token.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect

from tollway_processor import schema_files
from tollway_processor.errors import UsageError
from tollway_processor.ingest.codec import Codec, Window
from tollway_processor.ingest.statement import Statement
from tollway_processor.pricing import table as price_table
from tollway_processor.pricing.lookup import names_of
from tollway_processor.store.client import Delivery, Parameters, Refusal, Row, Signal
from tollway_processor.store.clock import NOW, ServerClock
from tollway_processor.store.config import EngineConfig, ServerConfig
from tollway_processor.store.deduplication import remember_blocks
from tollway_processor.store.engine import Engine, run
from tollway_processor.store.migrations import migrate
from tollway_processor.store.opening import without_password
from tollway_processor.store.server_errors import ConnectionLostError, told_by_the_server

_CONNECT_TIMEOUT_S = 5.0
_REFUSALS = """
SELECT request_index, refusal AS reason, count() AS spans
FROM block
WHERE refusal != ''
GROUP BY request_index, refusal
ORDER BY request_index, refusal
"""
_DOUBTED = "SELECT arrayJoin(doubts) AS doubt, count() AS n FROM block GROUP BY doubt"
_NAMES = """
SELECT DISTINCT lower(provider) AS provider, lower(response_model) AS model,
    lower(request_model) AS request_model
FROM block
WHERE cost_status = {status:String} AND refusal = ''
"""


class ServerStore:
    """A Store on a ClickHouse server, clickhouse://USER:PASSWORD@HOST:PORT/DATABASE.

    Opening it applies migrations. Raises RetryableError when the server cannot be reached,
    StoreError when it refuses, UsageError for a URL that is none.
    """

    is_shared = True

    def __init__(
        self,
        url: str,
        *,
        window: Window | None = None,
        engine: EngineConfig | None = None,
        server: ServerConfig | None = None,
    ) -> None:
        self.url = without_password(url)
        self.doubted: Counter[str] = Counter()
        self._client = _connect(url, (server or ServerConfig()).timeout_s)
        self._engine = Engine(":memory:", memory_bytes=(engine or EngineConfig()).memory_bytes)
        self.migrated = migrate(self)
        remember_blocks(self)
        self._clock = ServerClock(partial(self.rows, NOW))
        self._clock.set()
        price_table.fill(self)
        self.codec = Codec(self._engine, window=window)
        self.codec.load(price_table.read(self), price_table.read_models(self))

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
        told = dict(settings or {}) | ({"readonly": "2"} if readonly else {})
        with told_by_the_server():
            return bytes(
                self._client.raw_query(
                    sql, parameters=_bound(parameters), settings=told, fmt=format
                )
            )

    def rows(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """See Store.rows."""
        settings = {
            "output_format_json_quote_decimals": "1",
            "output_format_json_quote_64bit_integers": "0",
        }
        result = self.query(sql, parameters, format="JSON", settings=settings)
        return list(json.loads(result)["data"]) if result else []

    def command(self, sql: str, parameters: Parameters | None = None) -> None:
        """See Store.command."""
        with told_by_the_server():
            self._client.raw_query(
                sql, parameters=_bound(parameters), settings=_as_a_block_of_its_own()
            )

    def stream(
        self, sql: str, *, format: str, settings: Mapping[str, str] | None = None
    ) -> Iterator[bytes]:
        """See Store.stream."""
        told = dict(settings or {}) | {"readonly": "2"}
        with told_by_the_server():
            source = self._client.raw_stream(sql, settings=told, fmt=format)
            while piece := source.read(1 << 20):
                yield piece

    def insert_block(self, table: str, columns: Sequence[str], format: str, block: bytes) -> None:
        """See Store.insert_block."""
        with told_by_the_server():
            self._client.raw_insert(
                table, list(columns), block, fmt=format, settings=_as_a_block_of_its_own()
            )

    def ingest(
        self, signal: Signal, batch: Sequence[Delivery], *, token: str, ingested_at_ns: int
    ) -> list[Refusal]:
        """See Store.ingest."""
        parameters: dict[str, object] = dict(self.codec.window.parameters(ingested_at_ns))
        batch, has_messages = self.codec.with_messages(signal, batch)
        with self._engine.session(fresh=True) as session:

            def decode(statement: Statement, path: str) -> None:
                parameters["source"] = path
                run(session, "DROP TEMPORARY TABLE IF EXISTS block", None, "Null")
                head = "CREATE TEMPORARY TABLE block ENGINE = Memory AS"
                run(session, f"{head} {statement.select} {statement.settings}", parameters, "Null")

            statement = self.codec.decode(signal, batch, decode)
            if signal == "traces" and self._learned(session):
                statement = self.codec.decode(signal, batch, decode)
            refused = _decoded(run(session, _REFUSALS, None, "JSON"))
            block = run(session, "SELECT * FROM block", None, "Native")
            doubted = _decoded(run(session, _DOUBTED, None, "JSON")) if statement.is_foreign else []
        columns = [name.strip() for name in statement.columns.split(",")]
        settings = {
            "insert_deduplication_token": token,
            "deduplicate_blocks_in_dependent_materialized_views": "1",
            "max_partitions_per_insert_block": "0",
            "optimize_on_insert": "0",
        }
        self._send(statement.target, columns, block, settings)
        self.doubted.update({row["doubt"]: int(row["n"]) for row in doubted})
        if has_messages:
            self.command(
                schema_files.text("ingest/messages.sql"), {"ingested_at_ns": ingested_at_ns}
            )
        self._clock.set_if_old()
        return [Refusal(int(r["request_index"]), r["reason"], int(r["spans"])) for r in refused]

    def _send(
        self, table: str, columns: Sequence[str], block: bytes, settings: Mapping[str, str]
    ) -> None:
        """Insert a block; once more where the connection broke and the answer may have been lost.

        A server that was too slow is not asked again: its senders will, and wait no longer.
        """
        for is_last in (False, True):
            try:
                with told_by_the_server():
                    self._client.raw_insert(
                        table, list(columns), block, settings=dict(settings), fmt="Native"
                    )
                return
            except ConnectionLostError:
                if is_last:
                    raise

    def _learned(self, session: Any) -> bool:
        prices = self.codec.prices
        unpriced = _decoded(run(session, _NAMES, {"status": "unpriced"}, "JSON"))
        is_news = prices.learn(names_of(unpriced))
        if prices.charges_by_the_call:
            silent = _decoded(run(session, _NAMES, {"status": "no_usage"}, "JSON"))
            is_news |= prices.learn(names_of(silent), only_new=True)
        return is_news

    def now_ns(self) -> int:
        """See Store.now_ns."""
        return self._clock.now_ns()

    def close(self) -> None:
        """See Store.close."""
        self._engine.close()
        self._client.close()


def _connect(url: str, timeout_s: float) -> Any:
    parts = urlsplit(url)
    is_secure = parts.scheme == "clickhouses"
    if not parts.hostname:
        raise UsageError(f"--store {without_password(url)}: give a host")
    with told_by_the_server():
        return clickhouse_connect.get_client(
            host=parts.hostname,
            port=parts.port or (8443 if is_secure else 8123),
            username=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            database=parts.path.strip("/") or "default",
            secure=is_secure,
            autogenerate_session_id=False,  # statements of several threads share the client
            connect_timeout=min(_CONNECT_TIMEOUT_S, timeout_s),
            send_receive_timeout=timeout_s,
        )


def _as_a_block_of_its_own() -> dict[str, str]:
    """Rows that were deleted and are written again must not pass for a block the server has."""
    return {"insert_deduplication_token": uuid.uuid4().hex}


def _bound(parameters: Parameters | None) -> dict[str, object] | None:
    """Return parameters as the client takes them: it escapes all texts itself."""
    if not parameters:
        return None
    return {name: _bindable(value) for name, value in parameters.items()}


def _bindable(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    return list(value) if isinstance(value, tuple) else value


def _decoded(result: bytes) -> list[dict[str, Any]]:
    return list(json.loads(result)["data"]) if result else []
