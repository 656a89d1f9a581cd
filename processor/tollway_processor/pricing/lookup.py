"""What the engine looks prices up in: one row a told model name, and the rates of its schedule.

Names are learned when a call first tells them; only models that are seen take up room.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from tollway_processor.pricing.matching import PriceBook
from tollway_processor.pricing.models import Resolution, resolve
from tollway_processor.pricing.row import DEFAULT_TIER, PriceRow
from tollway_processor.pricing.schedule import (
    SLOTS,
    STEPS,
    TIERS,
    Schedule,
    Stretch,
    is_by_the_call,
    schedule,
)
from tollway_processor.pricing.units import BY_RATE_NAME, SECONDS_AN_HOUR, coefficients

MAX_NAMES = 20_000  # names beyond are left unpriced: a flood of made-up models costs nothing
Cells = tuple[object, ...]
Name = tuple[str, str, str]  # provider, model that answered, model asked for; all lowercase
CALL_SECONDS = "call_seconds"  # a unit of ours: what the call took, told in nanoseconds
NS_A_SECOND = 10**9
# The units that nearly every call has; each is a column of codec.rates.
HOT_UNITS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "cache_write_1h_tokens", "requests",
)  # fmt: skip
COLUMNS = {
    "model": (
        "told_provider", "told_model", "asked_model", "schedule", "priced_as", "tiers", "seconds",
        "lengths",
    ),
    "rate": (
        "key", "valid_from", "valid_to", "price_id", "status", "needs_usage", "input", "output",
        "cache_read", "cache_write", "cache_write_1h", "request", "least", "extra", "units",
        "unit_rates", "unit_per",
    ),
}  # fmt: skip
Learned = dict[str, list[Cells]]  # rows for the engine's dictionaries, by the keys of COLUMNS


class Found(NamedTuple):
    """What is known of a told name: the way to it, its rows (weakest first), their schedule."""

    resolution: Resolution
    rows: list[PriceRow]
    schedule: Schedule


def names_of(rows: Iterable[Mapping[str, object]]) -> list[Name]:
    """Return the names in rows of (provider, model, request_model)."""
    return [(str(r["provider"]), str(r["model"]), str(r["request_model"])) for r in rows]


class Lookup:
    """Prices by told provider and model; may be used from any thread.

    Its schedules are numbered from `first`: while one lookup takes another's place, a number must
    not mean a schedule in each.
    """

    def __init__(
        self,
        rows: Iterable[PriceRow],
        user_map: Mapping[str, str] | None = None,
        *,
        first: int = 1,
    ) -> None:
        self._book = PriceBook(rows)
        self.charges_by_the_call = any(is_by_the_call(row) for row in self._book.user_rows)
        self._map = dict(user_map or {})
        self._first = first
        self._schedules: dict[tuple[str, ...], int] = {}
        self._names: dict[Name, bool] = {}
        self._lock = threading.Lock()

    @property
    def next(self) -> int:
        """The number above those given so far."""
        with self._lock:
            return self._first + len(self._schedules)

    @property
    def names(self) -> list[Name]:
        """The names learned so far."""
        with self._lock:
            return list(self._names)

    def find(self, provider: str, answered: str, asked: str = "") -> Found:
        """Return what a told name resolves to: the model that answered, else the one asked for."""
        told = "" if provider == "unknown" else provider.lower()
        found = self._find(told, answered or asked)
        if found.rows or asked in ("", answered):
            return found
        by_request = self._find(told, asked)
        return by_request if by_request.rows else found

    def _find(self, told: str, model: str) -> Found:
        resolution = resolve(told, model, self._map)
        rows = self._book.rows_of(told, resolution)
        return Found(resolution, rows, schedule(rows))

    def knows(self, name: Name) -> bool | None:
        """Whether a told name has a price; None when it was not learned yet."""
        with self._lock:
            return self._names.get(name)

    def learn(self, names: Iterable[Name]) -> Learned:
        """Resolve names never seen before."""
        learned: Learned = {table: [] for table in COLUMNS}
        with self._lock:
            for name in names:
                if name not in self._names and len(self._names) < MAX_NAMES:
                    self._names[name] = self._learn(name, learned)
        return learned

    def _learn(self, name: Name, learned: Learned) -> bool:
        found = self.find(*name)
        if not found.rows:
            return False
        key = tuple(row.price_id for row in found.rows)
        number = self._schedules.get(key)
        if number is None:
            number = self._schedules[key] = self._first + len(self._schedules)
            learned["rate"] += [
                _rate_cells(number, found.schedule, stretch) for stretch in found.schedule.stretches
            ]
        plan = found.schedule
        priced_as = found.resolution.text or found.resolution.names[-1].strip("/")
        cells = (*name, number, priced_as, plan.tiers, plan.seconds, plan.lengths)
        learned["model"].append(cells)
        return True


def _rate_cells(number: int, plan: Schedule, stretch: Stretch) -> Cells:
    tier = 0 if stretch.tier == DEFAULT_TIER else plan.tiers.index(stretch.tier) + 1
    key = (number * TIERS + tier) * SLOTS * STEPS + stretch.cell
    return (key, stretch.first.isoformat(), stretch.last.isoformat(), *_charge_cells(stretch))


def _charge_cells(stretch: Stretch) -> Cells:
    charge = stretch.charge
    told = {unit: rate for unit, rate in coefficients(charge.rates).items() if rate}
    hot = [_plain(told.pop(unit, Decimal(0))) for unit in HOT_UNITS]
    units = [(BY_RATE_NAME[name].name, rate, _per(name)) for name, rate in told.items()]
    if charge.second_usd:
        units.append((CALL_SECONDS, charge.second_usd, NS_A_SECOND))
    return (
        stretch.row.price_id, "estimated" if charge.is_estimated else "computed",
        int(stretch.needs_usage), *hot, charge.least_seconds, _extra(units),
        tuple(unit for unit, _, _ in units), tuple(_plain(rate) for _, rate, _ in units),
        tuple(per for _, _, per in units),
    )  # fmt: skip


def _per(rate_name: str) -> int:
    return SECONDS_AN_HOUR if BY_RATE_NAME[rate_name].name != rate_name else 1


def _extra(units: list[tuple[str, Decimal, int]]) -> int:
    """Which calls the units concern: none, those with a usage of their kind, or all."""
    names = {unit for unit, _, _ in units}
    return 2 if names & {CALL_SECONDS, "output_reasoning_tokens"} else int(bool(names))


class Digits(str):
    """A decimal number in digits, which goes into SQL as it is."""


def _plain(rate: Decimal) -> Digits:
    return Digits(f"{rate:f}")
