"""The engine as codec: what the ingest statement looks up, and the statement ready to run.

Python never touches a span here: bodies go in as a file, rows come out in the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tollway_processor import schema_files
from tollway_processor.ingest import bounds
from tollway_processor.ingest.statement import Statement, convention_rows, render
from tollway_processor.pricing.dictionaries import Dictionaries
from tollway_processor.pricing.row import PriceRow
from tollway_processor.store.client import Delivery, Signal
from tollway_processor.store.engine import Engine

DAY_NS = 86_400 * 10**9
KIB = 1 << 10
HOUR_NS = 3_600 * 10**9


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

    def load(self, prices: Iterable[PriceRow], user_map: Mapping[str, str] | None = None) -> None:
        """Fill the dictionaries: conventions.toml, and the rows of `prices` given."""
        for sql in schema_files.statements(schema_files.text("ingest/codec.sql")):
            self._engine.query(sql)
        self._engine.query("TRUNCATE TABLE codec.convention_rows")
        rows = ", ".join(f"('{key}', {code})" for key, code in convention_rows())
        self._engine.query(f"INSERT INTO codec.convention_rows (key, code) VALUES {rows}")
        self._engine.query("SYSTEM RELOAD DICTIONARY codec.conventions")
        self.prices.load(prices, user_map or {})

    def statement(self, signal: Signal, batch: Iterable[Delivery]) -> Statement:
        """Return the statement that decodes a file of these requests."""
        is_large = signal == "traces" and any(self.window.may_exceed(d.body) for d in batch)
        return render(signal, str(schema_files.SCHEMAS / "otlp.proto"), is_large=is_large)
