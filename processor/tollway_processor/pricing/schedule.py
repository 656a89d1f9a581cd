"""The schedule of one model: which row charges what, by tier, day, time of day and prompt length.

Overlapping rows become stretches of days without overlap, so that the engine finds the one row of
a call in a dictionary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from tollway_processor.pricing.row import DAY_S, DEFAULT_TIER, Charge, PriceRow

_DAY = timedelta(days=1)
STEPS = 128  # most lengths of the prompt in one schedule: cell = time of day * STEPS + step
TIERS = 64  # most tiers in one schedule
SLOTS = 128  # most times of the day in one schedule


@dataclass(frozen=True)
class Stretch:
    """One row's charge over days (both included), in one tier and cell."""

    tier: str
    cell: int
    first: date
    last: date
    row: PriceRow
    charge: Charge
    undiscounted: Charge | None = None

    @property
    def needs_usage(self) -> bool:
        """Whether a call must have told what it used."""
        return not is_by_the_call(self.row)


def is_by_the_call(row: PriceRow) -> bool:
    """Whether a user's row charges the call itself, or the time that it took, and nothing else."""
    is_charged = "requests" in row.rates or row.second_usd is not None
    return row.is_user and is_charged and set(row.charge().rates) <= {"requests"}


@dataclass(frozen=True)
class Schedule:
    """All stretches of the same rows, and where its cells begin."""

    tiers: tuple[str, ...]  # besides the default
    seconds: tuple[int, ...]  # of the day, at which another price may begin
    lengths: tuple[int, ...]  # input tokens above which another price may begin
    stretches: tuple[Stretch, ...]

    def cell(self, second: int, input_tokens: int) -> int:
        """Return the cell of a call by its second of the day and its input tokens."""
        slot = sum(second >= bound for bound in self.seconds)
        return slot * STEPS + sum(input_tokens > bound for bound in self.lengths)

    def find(self, tier: str, second: int, input_tokens: int, day: date) -> Stretch | None:
        """Return the stretch that prices a call, None when no row does."""
        tier = tier if tier in self.tiers else DEFAULT_TIER
        cell = self.cell(second, input_tokens)
        for stretch in self.stretches:
            if (stretch.tier, stretch.cell) == (
                tier,
                cell,
            ) and stretch.first <= day <= stretch.last:
                return stretch
        return None


def schedule(rows: Sequence[PriceRow]) -> Schedule:
    """Return the schedule of rows in rising strength, as matching.py gives them."""
    tiers = sorted({row.tier for row in rows} - {DEFAULT_TIER})[: TIERS - 1]
    bounds = {row.day_from_s for row in rows} | {row.day_until_s for row in rows}
    seconds = sorted(bounds - {0, DAY_S})[: SLOTS - 1]
    lengths = sorted({row.above_input_tokens for row in rows} - {0})[: STEPS - 1]
    stretches: list[Stretch] = []
    for tier in (DEFAULT_TIER, *tiers):
        told = [row for row in rows if row.tier in (tier, DEFAULT_TIER)]
        for slot, second in enumerate((0, *seconds)):
            for step, length in enumerate((0, *lengths)):
                cell = slot * STEPS + step
                stretches += _overlay(_at(told, second, length), tier, cell)
    return Schedule(tuple(tiers), tuple(seconds), tuple(lengths), tuple(stretches))


def _at(rows: Iterable[PriceRow], second: int, length: int) -> list[PriceRow]:
    return [
        row
        for row in rows
        if row.day_from_s <= second < row.day_until_s and row.above_input_tokens <= length
    ]


def _overlay(rows: list[PriceRow], tier: str, cell: int) -> list[Stretch]:
    """Lay each row over the ones before it: it hides the days it covers, or discounts them."""
    stretches: list[Stretch] = []
    for row in rows:
        if row.discount_percent is not None:
            stretches = [piece for below in stretches for piece in _discounted(below, row)]
            continue
        kept = [piece for below in stretches for piece in _outside(below, row)]
        covers = Stretch(tier, cell, row.valid_from, row.valid_to, row, row.charge())
        stretches = [*kept, covers]
    return stretches


def _outside(below: Stretch, row: PriceRow) -> list[Stretch]:
    """What a row leaves of a stretch: the days before and after it."""
    kept = []
    if below.first < row.valid_from:
        kept.append(_part(below, below.first, min(below.last, row.valid_from - _DAY)))
    if below.last > row.valid_to:
        kept.append(_part(below, max(below.first, row.valid_to + _DAY), below.last))
    return kept


def _discounted(below: Stretch, row: PriceRow) -> list[Stretch]:
    """A stretch with the days of a discount at the discounted rates; only the book's is lowered."""
    first, last = max(below.first, row.valid_from), min(below.last, row.valid_to)
    full = below.undiscounted or below.charge
    is_users_own = below.row.is_user and below.undiscounted is None
    if first > last or is_users_own or row.discount_percent is None:
        return [below]
    charge = full.less(row.discount_percent)
    lowered = Stretch(below.tier, below.cell, first, last, row, charge, full)
    return [*_outside(below, row), lowered]


def _part(stretch: Stretch, first: date, last: date) -> Stretch:
    return replace(stretch, first=first, last=last)
