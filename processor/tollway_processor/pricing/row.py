"""A row of `prices`, and what it charges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from tollway_processor.pricing.units import SECONDS_AN_HOUR

FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(2149, 6, 6)  # the largest Date of ClickHouse
DAY_S = 86_400
DEFAULT_TIER = "default"
RATE_DIGIT = Decimal(1).scaleb(-24)  # the last digit of Decimal(38, 24)

Match = Literal["exact", "prefix", "regex"]


@dataclass(frozen=True)
class Charge:
    """What one row charges a call."""

    rates: Mapping[str, Decimal]  # USD a unit (an hour for *_hours), by rate name
    second_usd: Decimal = Decimal(0)  # USD a second that the call took
    least_seconds: int = 0  # audio shorter than this is billed as this long
    is_estimated: bool = False  # derived from a throughput or from the call's duration

    def less(self, percent: Decimal) -> Charge:
        """Return the charge after a discount of so many percent."""
        share = 1 - percent / 100
        rates = {name: rounded(rate * share) for name, rate in self.rates.items()}
        return replace(self, rates=rates, second_usd=rounded(self.second_usd * share))


@dataclass(frozen=True)
class PriceRow:
    """One row of the table `prices`; `rates` holds all its rates by rate name.

    A row with a discount has no rates of its own: it lowers the book's row of the same call.
    """

    price_id: str
    provider: str
    model: str
    origin: str = "user"
    source: str = "sql"
    match: Match = "exact"
    tier: str = DEFAULT_TIER
    valid_from: date = FIRST_DAY
    valid_to: date = LAST_DAY
    day_from_s: int = 0
    day_until_s: int = DAY_S
    above_input_tokens: int = 0
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    second_usd: Decimal | None = None
    least_seconds: int = 0
    gpu_hour_usd: Decimal | None = None
    gpus: Decimal = Decimal(1)
    tokens_per_s: Decimal | None = None
    input_tokens_per_s: Decimal | None = None
    output_tokens_per_s: Decimal | None = None
    discount_percent: Decimal | None = None
    is_free: bool = False

    @property
    def is_user(self) -> bool:
        """Whether a user wrote it; such a row wins over the book's."""
        return self.origin == "user"

    def charge(self) -> Charge:
        """Return what the row charges; its GPUs' hours are spread over the tokens they serve."""
        rates = dict(self.rates)
        if self.gpu_hour_usd is not None:
            second = self.gpu_hour_usd * self.gpus / SECONDS_AN_HOUR
            for unit, throughput in (
                ("input_tokens", self.input_tokens_per_s or self.tokens_per_s),
                ("output_tokens", self.output_tokens_per_s or self.tokens_per_s),
            ):
                if throughput is not None:
                    rates.setdefault(unit, rounded(second / throughput))
        is_estimated = self.gpu_hour_usd is not None or self.second_usd is not None
        return Charge(rates, self.second_usd or Decimal(0), self.least_seconds, is_estimated)


def rounded(rate: Decimal) -> Decimal:
    """Return a rate with the 24 digits after the point that the engine keeps."""
    return rate.quantize(RATE_DIGIT, ROUND_HALF_EVEN).normalize()
