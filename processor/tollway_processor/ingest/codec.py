"""The engine as codec: what the ingest statement looks up, and the statement ready to run.

Python never touches a span here: bodies go in as a file, rows come out in the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tollway_processor import schema_files
from tollway_processor.errors import StoreError
from tollway_processor.ingest import any_values, bounds, conventions, envelope, log_events
from tollway_processor.ingest.statement import Statement, render
from tollway_processor.pricing.dictionaries import Dictionaries
from tollway_processor.pricing.row import PriceRow
from tollway_processor.store.client import Delivery, Signal
from tollway_processor.store.engine import Engine, undecodable

DAY_NS = 86_400 * 10**9
KIB = 1 << 10
HOUR_NS = 3_600 * 10**9
# Batches after one that needed it: trying the other way first would plan twice.
LONG_WAYS = 64
_THROWN = 395  # what the engine says of throwIf
_HAS_NESTED = "a span has nested values"  # of schemas/ingest/traces.sql
_PROTO = str(schema_files.SCHEMAS / "otlp.proto")


@dataclass(frozen=True)
class Window:
    """Which span times are believed, and how much of a span's attributes is kept."""

    retention_days: int = 400
    ahead_ns: int = HOUR_NS
    attribute_bytes: int = 256 * KIB
    content_bytes: int = 1024 * KIB
    attribute_count: int = 1024
    event_count: int = 4096
    link_count: int = 1024

    def parameters(self, ingested_at_ns: int) -> dict[str, int]:
        """Return the statement's parameters for a batch taken in at a time, nanoseconds UTC."""
        return {
            "ingested_at_ns": ingested_at_ns,
            "oldest_ns": max(ingested_at_ns - self.retention_days * DAY_NS, 0),
            "newest_ns": ingested_at_ns + self.ahead_ns,
            "attribute_bytes": self.attribute_bytes,
            "content_bytes": self.content_bytes,
            "attribute_count": self.attribute_count,
            "event_count": self.event_count,
            "link_count": self.link_count,
        }

    def may_exceed(self, body: bytes) -> bool:
        """Whether some text of a trace request may be too long, or its parts too many."""
        if len(body) > min(self.attribute_bytes, self.content_bytes):
            return True
        return (
            bounds.attributes(body) > self.attribute_count
            or bounds.events(body) > self.event_count
            or bounds.links(body) > self.link_count
            or bounds.may_exceed_in_resource(body, self.attribute_count)
        )


class Codec:
    """Dictionaries of attribute names, models and rates in one engine."""

    def __init__(self, engine: Engine, *, window: Window | None = None) -> None:
        self.window = window or Window()
        self.prices = Dictionaries(engine)
        self._engine = engine
        self._long_ways = 0  # batches still to be decoded the long way without trying the short
        self._nested_ways = 0  # the same of nested values, told as text before the engine fails

    def load(self, prices: Iterable[PriceRow], user_map: Mapping[str, str] | None = None) -> None:
        """Fill the dictionaries: conventions.toml, and the rows of `prices` given."""
        for sql in schema_files.statements(schema_files.text("ingest/codec.sql")):
            self._engine.query(sql)
        self._engine.query("TRUNCATE TABLE codec.convention_rows")
        rows = ", ".join(f"('{key}', {code})" for key, code in conventions.rows())
        self._engine.query(f"INSERT INTO codec.convention_rows (key, code) VALUES {rows}")
        self._engine.query("SYSTEM RELOAD DICTIONARY codec.conventions")
        self.prices.load(prices, user_map or {})

    def statement(self, signal: Signal, batch: Iterable[Delivery]) -> Statement:
        """Return the statement that decodes a file of these requests."""
        if signal != "traces":
            return render(signal, _PROTO)
        is_foreign, self._long_ways = self._long_ways > 0, max(self._long_ways - 1, 0)
        is_large = not is_foreign and any(self.window.may_exceed(d.body) for d in batch)
        return render(signal, _PROTO, is_large=is_large, is_foreign=is_foreign)

    def with_messages(
        self, signal: Signal, batch: Sequence[Delivery]
    ) -> tuple[Sequence[Delivery], bool]:
        """Return a batch ready for the engine, and whether some log event of it holds messages."""
        if signal != "logs":
            return batch, False
        told = [log_events.with_messages(delivery.body) for delivery in batch]
        ready = [d._replace(body=body) for d, (body, _) in zip(batch, told, strict=True)]
        return ready, any(has_messages for _, has_messages in told)

    def decode(
        self, signal: Signal, batch: Sequence[Delivery], run: Callable[[Statement, str], None]
    ) -> Statement:
        """Decode a batch by `run`, given a statement and the file of the requests.

        `run` raises StoreError. Return the statement that did it. The short statement stops at a
        span of a convention that it does not know; then the long one is run, and for the batches
        that follow too: most senders keep to their convention. Either stops at values that it
        cannot read; then they are told as text. Raises what `undecodable` makes of other errors.
        """
        if self._nested_ways > 0:
            batch = self._with_text(batch)
        for _ in range(2):
            try:
                return self._decode(signal, batch, run)
            except StoreError as error:
                if error.code != _THROWN:
                    raise undecodable(error) from error
                if _HAS_NESTED in str(error):
                    self._nested_ways = LONG_WAYS
                    batch = self._with_text(batch)
                else:
                    self._long_ways = LONG_WAYS
        return self._decode(signal, batch, run)

    def _decode(
        self, signal: Signal, batch: Sequence[Delivery], run: Callable[[Statement, str], None]
    ) -> Statement:
        statement = self.statement(signal, batch)
        with envelope.as_file(envelope.delimited(batch)) as path:
            run(statement, path)
        return statement

    def compute(self, sql: str, parameters: Mapping[str, object], block: bytes) -> bytes:
        """Return a SELECT's rows in Native form; it reads `block`, Native too, as file({path})."""
        with envelope.as_file([block]) as path:
            return self._engine.query(sql, {**parameters, "path": path}, format="Native")

    def _with_text(self, batch: Sequence[Delivery]) -> Sequence[Delivery]:
        ready = [d._replace(body=any_values.with_text(d.body)) for d in batch]
        is_needed = any(new.body is not old.body for new, old in zip(ready, batch, strict=True))
        self._nested_ways = LONG_WAYS if is_needed else self._nested_ways - 1
        return ready
