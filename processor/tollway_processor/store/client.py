"""The one interface to a store; embedded.py (chDB) and server.py (ClickHouse) fill it in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

Parameters = Mapping[str, object]
Row = dict[str, object]
Signal = Literal["traces", "logs"]


class Delivery(NamedTuple):
    """One OTLP request as it came: its decoded protobuf bytes and the project of its token."""

    body: bytes
    project: str = ""
    is_replay: bool = False  # sent again by `tollway replay`, which keeps it should it fail again


class Refusal(NamedTuple):
    """Spans of one delivery that were not stored, and why."""

    request_index: int  # position in the batch's sequence of deliveries
    reason: str
    spans: int


class Store(Protocol):
    """A store of spans, scores and what is computed from them.

    Every method blocks, may be called from any thread, and raises StoreError (with ClickHouse's
    code) when the engine refuses, RetryableError when the store cannot be reached or is full.
    """

    url: str
    migrated: list[str]  # schema files applied when it was opened
    is_shared: bool  # other processes may write to it
    # Counts told and not believed since it was opened, by doubt as spans.doubts tells it.
    doubted: Counter[str]

    def query(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        format: str = "JSONCompact",
        settings: Mapping[str, str] | None = None,
        readonly: bool = False,
    ) -> bytes:
        """Run one statement in a session of its own and return its result in `format`.

        With `readonly` the session cannot write, change a setting, or use table functions.
        """

    def rows(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """Return a SELECT's rows, keyed by column name; 64-bit integers as int, Decimal as str."""

    def command(self, sql: str, parameters: Parameters | None = None) -> None:
        """Run one statement that returns nothing."""

    def stream(
        self, sql: str, *, format: str, settings: Mapping[str, str] | None = None
    ) -> Iterator[bytes]:
        """Yield a read-only SELECT's result in pieces."""

    def insert_block(self, table: str, columns: Sequence[str], format: str, block: bytes) -> None:
        """Insert rows that are already encoded in a ClickHouse input format."""

    def ingest(
        self, signal: Signal, batch: Sequence[Delivery], *, token: str, ingested_at_ns: int
    ) -> list[Refusal]:
        """Decode, normalise, price and commit a batch of OTLP requests in one statement.

        All of the batch is committed on return, save for the spans that the refusals count. A
        repeated `token` (or a repeated span) changes nothing. Raises PermanentError when the
        engine cannot decode a body of the batch (nothing of the batch is then stored), and
        RetryableError when the store is down or full.
        """

    def now_ns(self) -> int:
        """Return the time by the store's own clock, nanoseconds since 1970, UTC.

        Every process that writes to a shared store must stamp by it: by clocks of their own one of
        them would write behind what another has rolled up already.
        """

    def close(self) -> None:
        """Finish running statements and release the store."""
