"""What the engine looks prices up in: one row a told model name, and the rates of its schedule.

Names are learned when a call first tells them; only models that are seen take up room.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from tollway_processor.pricing.matching import PriceBook
from tollway_processor.pricing.models import Resolution, resolve
from tollway_processor.pricing.row import PriceRow
from tollway_processor.pricing.schedule import Schedule, Stretch, is_by_the_call, schedule
from tollway_processor.pricing.units import BY_RATE_NAME, SECONDS_AN_HOUR, coefficients

MAX_NAMES = 20_000  # names beyond are left unpriced: a flood of made-up models costs nothing
BY_THE_CALL = ("*", "*")  # a name in codec.models while some row charges calls without usage
Cells = tuple[object, ...]
# The units that nearly every call has; each is a column of codec.rates.
HOT_UNITS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "cache_write_1h_tokens", "requests",
)  # fmt: skip
MODEL_COLUMNS = (
    "told_provider", "told_model", "schedule", "priced_as", "tiers", "seconds", "lengths",
)  # fmt: skip
RATE_COLUMNS = (
    "schedule", "tier", "cell", "valid_from", "valid_to", "price_id", "status", "needs_usage",
    "input", "output", "cache_read", "cache_write", "cache_write_1h", "request",
    "second", "least_seconds", "reads_reasoning", "units", "unit_rates", "unit_per",
)  # fmt: skip


@dataclass
class Learned:
    """Rows for the engine's dictionaries, in the order of MODEL_COLUMNS and RATE_COLUMNS."""

    models: list[Cells] = field(default_factory=list)
    rates: list[Cells] = field(default_factory=list)


class Found(NamedTuple):
    """What is known of a told name: the way to it, its rows (weakest first), their schedule."""

    resolution: Resolution
    rows: list[PriceRow]
    schedule: Schedule


class Lookup:
    """Prices by told provider and model; may be used from any thread."""

    def __init__(self, rows: Iterable[PriceRow], user_map: Mapping[str, str] | None = None) -> None:
        self._book = PriceBook(rows)
        self._charges_by_the_call = any(is_by_the_call(row) for row in self._book.user_rows)
        self._map = dict(user_map or {})
        self._numbers: dict[tuple[str, ...], int] = {}
        self._names: dict[tuple[str, str], bool] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> list[tuple[str, str]]:
        """The names learned so far."""
        with self._lock:
            return list(self._names)

    def find(self, provider: str, model: str) -> Found:
        """Return what a told name resolves to."""
        told = "" if provider == "unknown" else provider.lower()
        resolution = resolve(told, model, self._map)
        rows = self._book.rows_of(told, resolution)
        return Found(resolution, rows, schedule(rows))

    def knows(self, name: tuple[str, str]) -> bool | None:
        """Whether a told name has a price; None when it was not learned yet."""
        with self._lock:
            return self._names.get(name)

    def learn(self, names: Iterable[tuple[str, str]]) -> Learned:
        """Resolve told (provider, model) names never seen before, both lowercase."""
        learned = Learned()
        with self._lock:
            if self._charges_by_the_call and not self._names:
                learned.models.append((*BY_THE_CALL, 1, "", (), (), ()))
            for name in names:
                if name not in self._names and len(self._names) < MAX_NAMES:
                    self._names[name] = self._learn(name, learned)
        return learned

    def _learn(self, name: tuple[str, str], learned: Learned) -> bool:
        found = self.find(*name)
        if not found.rows:
            if self._charges_by_the_call:
                learned.models.append((*name, 0, "", (), (), ()))
            return False
        key = tuple(row.price_id for row in found.rows)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._numbers) + 1
            learned.rates += [_rate_cells(number, stretch) for stretch in found.schedule.stretches]
        plan = found.schedule
        priced_as = found.resolution.text or found.resolution.names[-1].strip("/")
        learned.models.append((*name, number, priced_as, plan.tiers, plan.seconds, plan.lengths))
        return True


def _rate_cells(number: int, stretch: Stretch) -> Cells:
    charge = stretch.charge
    told = coefficients(charge.rates)
    hot = [_plain(told.pop(unit, 0)) for unit in HOT_UNITS]
    per = [SECONDS_AN_HOUR if BY_RATE_NAME[name].name != name else 1 for name in told]
    return (
        number, stretch.tier, stretch.cell, _day(stretch.first), _day(stretch.last),
        stretch.row.price_id, "estimated" if charge.is_estimated else "computed",
        int(stretch.needs_usage), *hot, _plain(charge.second_usd), charge.least_seconds,
        int("output_reasoning_tokens" in told), tuple(BY_RATE_NAME[name].name for name in told),
        tuple(_plain(rate) for rate in told.values()), tuple(per),
    )  # fmt: skip


def _day(day: date) -> str:
    return day.isoformat()


class Digits(str):
    """A decimal number in digits, which goes into SQL as it is."""


def _plain(rate: object) -> Digits:
    return Digits(f"{rate:f}")
