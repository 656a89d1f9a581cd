"""What can be billed: genai-prices' units, and how the rates of nested units become one sum."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from genai_prices.data_units import unit_data

REQUESTS = "requests"
SECONDS_AN_HOUR = 3600


class Unit(NamedTuple):
    """One thing that is counted; a unit is part of another whose dimensions it has all of."""

    name: str  # as in a span's usage: input_tokens, web_searches, audio_seconds
    rate_name: str  # as in a row's rates: the same, or audio_hours for what is sold by the hour
    price_key: str  # as in genai-prices: input_mtok
    per: int  # units that one price of genai-prices is for
    dimensions: frozenset[tuple[str, str]]


def _unit(name: str, told: Mapping[str, object]) -> Unit:
    dimensions = told["dimensions"]
    if not isinstance(dimensions, Mapping):
        raise TypeError(f"unit {name} of genai-prices has no dimensions")
    price_key = str(told.get("price_key", name))
    is_hourly = told["per"] == SECONDS_AN_HOUR
    return Unit(
        name,
        price_key if is_hourly else name,
        price_key,
        int(str(told["per"])),
        frozenset((str(k), str(v)) for k, v in dimensions.items()),
    )


UNITS = {name: _unit(name, told) for name, told in unit_data.items()}
BY_RATE_NAME = {unit.rate_name: unit for unit in UNITS.values()}
BY_PRICE_KEY = {unit.price_key: unit for unit in UNITS.values()}


def coefficients(rates: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return what each unit's whole count is multiplied by, keyed as `rates`, by rate name.

    A part with a rate of its own is not charged at the rate of what it is part of: input tokens
    cost their rate less those read from cache. As a sum over the whole counts, a part costs its
    rate less the coefficients of all that it is part of.
    """
    units = sorted((BY_RATE_NAME[name] for name in rates), key=lambda unit: len(unit.dimensions))
    found: dict[str, Decimal] = {}
    for unit in units:
        above = [
            found[other.rate_name]
            for other in units
            if other is not unit and other.dimensions < unit.dimensions
        ]
        found[unit.rate_name] = rates[unit.rate_name] - sum(above, Decimal(0))
    return found
