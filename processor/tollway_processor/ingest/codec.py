"""The engine as codec: what the ingest statement looks up, and the statement ready to run.

Python never touches a span here: bodies go in as a file, rows come out in the engine.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tollway_processor import schema_files
from tollway_processor.ingest.statement import Statement, convention_rows, render
from tollway_processor.pricing import models
from tollway_processor.pricing.effective import effective_rows
from tollway_processor.store.client import Delivery, Row, Signal
from tollway_processor.store.engine import Engine

DAY_NS = 86_400 * 10**9
KIB = 1 << 10
HOUR_NS = 3_600 * 10**9
_ATTRIBUTE_TAGS = (b"\x4a", b"\xca")  # Span.attributes, also as spelt with a needless second byte
MAX_MODEL_NAMES = 20_000  # names beyond are left unpriced: a flood of made-up models costs nothing


@dataclass(frozen=True)
class Window:
    """Which span times are believed, and how much of a span's attributes is kept."""

    retention_days: int = 400
    ahead_ns: int = HOUR_NS
    attribute_bytes: int = 256 * KIB
    content_bytes: int = 1024 * KIB
    attribute_count: int = 1024

    def parameters(self, ingested_at_ns: int) -> dict[str, int]:
        """Return the statement's parameters for a batch taken in at a time, nanoseconds UTC."""
        return {
            "ingested_at_ns": ingested_at_ns,
            "oldest_ns": max(ingested_at_ns - self.retention_days * DAY_NS, 0),
            "newest_ns": ingested_at_ns + self.ahead_ns,
            "attribute_bytes": self.attribute_bytes,
            "content_bytes": self.content_bytes,
            "attribute_count": self.attribute_count,
        }

    def may_exceed(self, body: bytes) -> bool:
        """Whether some attribute of a trace request may be too long, or some span's too many.

        Bounds from above, at the speed of memory: each attribute begins with its field's tag.
        """
        if len(body) > min(self.attribute_bytes, self.content_bytes):
            return True
        return sum(map(body.count, _ATTRIBUTE_TAGS)) > self.attribute_count


class Codec:
    """Dictionaries of attribute names, models and rates in one engine."""

    def __init__(self, engine: Engine, *, window: Window | None = None) -> None:
        self.window = window or Window()
        self._engine = engine
        self._names: dict[tuple[str, str], models.Resolved] = {}
        self._growing = threading.Lock()

    def load(self, rates: Iterable[Row]) -> None:
        """Fill the dictionaries: conventions.toml, and the rows of `prices` given."""
        for sql in schema_files.statements(schema_files.text("ingest/codec.sql")):
            self._engine.query(sql)
        self._replace("codec.convention_rows", "key, code", convention_rows())
        self._engine.query("SYSTEM RELOAD DICTIONARY codec.conventions")
        self.load_rates(rates)

    def load_rates(self, rates: Iterable[Row]) -> None:
        """Replace the rates by the rows of `prices` given."""
        columns = (
            "input", "output", "cache_read", "cache_write",
            "long_input", "long_output", "long_cache_read", "long_cache_write",
        )  # fmt: skip
        values = [
            (
                row["provider"], row["model"], tier, first.isoformat(), last.isoformat(),
                row["price_id"], row["long_context_after"],
                *(str(row[f"{name}_usd_per_token"]) for name in columns),
            )
            for tier, (first, last, row) in effective_rows(rates)
        ]  # fmt: skip
        key = "provider, model, tier, valid_from, valid_to, price_id, long_context_after"
        self._replace("codec.rate_rows", f"{key}, {', '.join(columns)}", values)
        self._engine.query("SYSTEM RELOAD DICTIONARY codec.rates")

    def statement(self, signal: Signal, batch: Iterable[Delivery]) -> Statement:
        """Return the statement that decodes a file of these requests."""
        is_large = signal == "traces" and any(self.window.may_exceed(d.body) for d in batch)
        return render(signal, str(schema_files.SCHEMAS / "otlp.proto"), is_large=is_large)

    def learn(self, told: Iterable[tuple[str, str]]) -> bool:
        """Resolve told (provider, model) names never seen before; return whether any has a price.

        True means that the batch holding them should be decoded once more.
        """
        names = list(told)
        with self._growing:
            room = MAX_MODEL_NAMES - len(self._names)
            new = [name for name in names if name not in self._names][: max(room, 0)]
            resolved = {name: models.resolve(*name) for name in new}
            self._names.update(resolved)
            found = {name: model for name, model in resolved.items() if model != models.UNKNOWN}
            if not found:
                # Another batch may have learned them after this one was decoded.
                return any(
                    self._names.get(name, models.UNKNOWN) != models.UNKNOWN for name in names
                )
            rows = [(*name, *model) for name, model in found.items()]
            self._insert("codec.model_rows", "told_provider, told_model, provider, model", rows)
            self._engine.query("SYSTEM RELOAD DICTIONARY codec.models")
            return True

    def _replace(self, table: str, columns: str, rows: Sequence[tuple[object, ...]]) -> None:
        self._engine.query(f"TRUNCATE TABLE {table}")
        self._insert(table, columns, rows)

    def _insert(self, table: str, columns: str, rows: Sequence[tuple[object, ...]]) -> None:
        if not rows:
            return
        values = ", ".join("(" + ", ".join(_literal(v) for v in row) + ")" for row in rows)
        self._engine.query(f"INSERT INTO {table} ({columns}) VALUES {values}")


def _literal(value: object) -> str:
    """A SQL literal of a trusted table's cell; strings escaped."""
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(value)
