"""Prices of the configuration: `[[prices]]` and `[prices.models]`, checked and made into rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from tollway_processor.errors import UsageError
from tollway_processor.pricing.row import FIRST_DAY, LAST_DAY, Match, PriceRow, rounded
from tollway_processor.pricing.units import BY_RATE_NAME

_MTOK = 1_000_000
_MOST_USD_PER_MTOK = Decimal(1_000_000)  # a dollar a token: no model comes near it
_MOST_USD = Decimal(100_000)  # of a call, a second, a GPU's hour, or any other unit
_Number = int | float | str  # money may stand in quotes: a float's text is taken as it is written


class PriceEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of `[[prices]]`: which calls it is for, when, and what they cost."""

    model: str = ""
    """Whole name of the model, as told or as in the price book, without regard to case."""
    model_prefix: str = ""
    """Beginning of the names of the models, in place of model."""
    model_regex: str = ""
    """Regular expression that the whole name must match, in place of model."""
    provider: str = ""
    """Provider as told or as in the price book; empty for any."""
    tier: str = "default"
    """default, batch, flex, priority, …; the default row also prices tiers without one."""
    valid_from: date | None = None
    """First day (UTC) on which the row holds."""
    valid_to: date | None = None
    """Last day on which it holds."""
    above_input_tokens: int = 0
    """The row holds for calls with more input tokens than this."""
    input_usd_per_mtok: _Number | None = None
    """USD a million tokens in."""
    output_usd_per_mtok: _Number | None = None
    """USD a million tokens out."""
    cache_read_usd_per_mtok: _Number | None = None
    """USD a million tokens read from cache; default: as other tokens in."""
    cache_write_usd_per_mtok: _Number | None = None
    """USD a million tokens written to cache; default: as other tokens in."""
    cache_write_1h_usd_per_mtok: _Number | None = None
    """USD a million tokens written to cache for an hour; default: as other cache writes."""
    request_usd: _Number | None = None
    """USD a call."""
    second_usd: _Number | None = None
    """USD a second that the call took; the cost is then estimated."""
    units: dict[str, _Number] = {}
    """USD a unit of what else the span's usage holds, such as web_searches; audio_hours an hour."""
    discount_percent: _Number | None = None
    """Percent off the price book's rates for the same call; the row has no other rates then."""
    gpu_hour_usd: _Number | None = None
    """USD an hour of one GPU of your own; needs a throughput, and the cost is then estimated."""
    gpus: _Number = 1
    """GPUs that serve the model together."""
    tokens_per_s: _Number | None = None
    """Tokens a second, in and out together, that they serve."""
    input_tokens_per_s: _Number | None = None
    """Tokens in a second while they read, where that was measured apart."""
    output_tokens_per_s: _Number | None = None
    """Tokens out a second while they write, where that was measured apart."""
    free: bool = False
    """The model costs nothing: its price is 0, not unknown."""
    models: dict[str, str] = {}
    """The table [prices.models] where it follows the rows; not a part of one."""


class PricesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Your own prices, which win over the price book."""

    rows: list[PriceEntry] = []
    """Rows of [[prices]]."""

    models: dict[str, str] = {}
    """What your deployments and quantised models are in the price book: name to provider/model."""

    def price_rows(self) -> list[PriceRow]:
        """Return the rows, checked. Raises UsageError naming the row at fault."""
        rows = [_row(number, entry) for number, entry in enumerate(self.rows, 1)]
        check_overlaps(rows)
        return rows


def normalised(told: object) -> object:
    """Return what a TOML file has under `prices` as the shape of PricesConfig.

    `[[prices]]` is a list, to whose last row TOML gives a table [prices.models] that follows.
    """
    if not isinstance(told, list):
        return told
    models: dict[str, Any] = {}
    for entry in told:
        if isinstance(entry, dict) and isinstance(entry.get("models"), dict):
            models |= entry.pop("models")
    return {"rows": told, "models": models}


def check_overlaps(rows: Iterable[PriceRow]) -> None:
    """Raise UsageError when two rows of one model hold for the same call."""
    seen: dict[tuple[object, ...], list[PriceRow]] = {}
    for row in rows:
        call = (row.provider, row.model.lower(), row.match, row.tier, row.above_input_tokens)
        key = (*call, row.discount_percent is not None)
        for other in seen.setdefault(key, []):
            if row.valid_from <= other.valid_to and other.valid_from <= row.valid_to:
                raise UsageError(
                    f"prices: {row.price_id} and {other.price_id} both hold from "
                    f"{max(row.valid_from, other.valid_from)} on; end one with valid_to"
                )
        seen[key].append(row)


def check(row: PriceRow, name: str) -> None:
    """Raise UsageError, naming the row, when it charges nothing, or what cannot be."""
    told = {**row.rates, "second_usd": row.second_usd, "gpu_hour_usd": row.gpu_hour_usd}
    for key, number in told.items():
        if number is not None:
            most = _MOST_USD if key not in BY_RATE_NAME else _most(key)
            _check_number(name, key, number, most)
    throughputs = (row.tokens_per_s, row.input_tokens_per_s, row.output_tokens_per_s)
    for number in (*throughputs, row.gpus):
        if number is not None:
            _check_number(name, "gpus and tokens_per_s", number, Decimal(10) ** 9)
    if row.discount_percent is not None and not 0 < row.discount_percent < 100:
        raise UsageError(f"{name}: discount_percent must lie between 0 and 100")
    if row.valid_from > row.valid_to:
        raise UsageError(f"{name}: valid_from {row.valid_from} is after valid_to {row.valid_to}")
    if (row.gpu_hour_usd is None) != (not any(throughputs)):
        raise UsageError(f"{name}: gpu_hour_usd and a throughput (tokens_per_s) go together")
    _check_kind(row, name, has_rates=any(number is not None for number in told.values()))
    if row.match == "regex":
        try:
            re.compile(row.model)
        except re.error as error:
            raise UsageError(f"{name}: model_regex {row.model!r}: {error}") from error


def _check_kind(row: PriceRow, name: str, *, has_rates: bool) -> None:
    kinds = [has_rates, row.discount_percent is not None, row.is_free]
    if sum(kinds) == 0:
        raise UsageError(
            f"{name}: no price; give rates, discount_percent, gpu_hour_usd, or free = true"
        )
    if sum(kinds) > 1:
        raise UsageError(f"{name}: give only one of rates, discount_percent and free")


def _most(unit: str) -> Decimal:
    return _MOST_USD_PER_MTOK / _MTOK if unit.endswith("_tokens") else _MOST_USD


def _check_number(name: str, key: str, number: Decimal, most: Decimal) -> None:
    if not number.is_finite() or number <= 0:
        raise UsageError(
            f"{name}: {key} is {number:f}: a price is above 0; leave out what is not charged, "
            "and say free = true of a model that costs nothing"
        )
    if number > most:
        raise UsageError(
            f"{name}: {key} is {number:f} USD a unit, more than {most:f}: is it a typo?"
        )


def _row(number: int, entry: PriceEntry) -> PriceRow:
    told = [(entry.model, "exact"), (entry.model_prefix, "prefix"), (entry.model_regex, "regex")]
    given = [(text, kind) for text, kind in told if text]
    name = f"prices, row {number}"
    if len(given) != 1:
        raise UsageError(f"{name}: give one of model, model_prefix and model_regex")
    pattern, kind = given[0]
    name += f" ({entry.provider or 'any provider'}, {pattern})"
    first = entry.valid_from or FIRST_DAY
    price_id = f"user:{entry.provider or '*'}/{pattern}:{entry.tier.lower()}:{first.isoformat()}"
    if entry.above_input_tokens:
        price_id += f":>{entry.above_input_tokens}"
    row = PriceRow(
        price_id=price_id,
        source="toml",
        provider=entry.provider.lower(),
        model=pattern,
        match=_match(kind),
        tier=entry.tier.lower(),
        valid_from=first,
        valid_to=entry.valid_to or LAST_DAY,
        above_input_tokens=entry.above_input_tokens,
        rates=_rates(entry, name),
        is_free=entry.free,
        gpus=_decimal(entry.gpus, name, "gpus"),
        second_usd=_optional(entry.second_usd, name, "second_usd"),
        gpu_hour_usd=_optional(entry.gpu_hour_usd, name, "gpu_hour_usd"),
        tokens_per_s=_optional(entry.tokens_per_s, name, "tokens_per_s"),
        input_tokens_per_s=_optional(entry.input_tokens_per_s, name, "input_tokens_per_s"),
        output_tokens_per_s=_optional(entry.output_tokens_per_s, name, "output_tokens_per_s"),
        discount_percent=_optional(entry.discount_percent, name, "discount_percent"),
    )
    check(row, name)
    return row


def _match(kind: str) -> Match:
    kinds: dict[str, Match] = {"exact": "exact", "prefix": "prefix", "regex": "regex"}
    return kinds[kind]


def _rates(entry: PriceEntry, name: str) -> dict[str, Decimal]:
    per_mtok = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
    found: dict[str, Decimal] = {}
    for kind in per_mtok:
        key = f"{kind}_usd_per_mtok"
        rate = _optional(getattr(entry, key), name, key)
        if rate is not None:
            found[f"{kind}_tokens"] = rounded(rate / _MTOK)
    request = _optional(entry.request_usd, name, "request_usd")
    if request is not None:
        found["requests"] = request
    for unit, told in entry.units.items():
        if unit not in BY_RATE_NAME:
            known = ", ".join(sorted(set(BY_RATE_NAME) - {"requests"}))
            raise UsageError(f"{name}: unknown unit {unit}; known are {known}")
        found[unit] = _decimal(told, name, unit)
    return found


def _optional(number: _Number | None, name: str, key: str) -> Decimal | None:
    return None if number is None else _decimal(number, name, key)


def _decimal(number: _Number, name: str, key: str) -> Decimal:
    """A number as it was written; a float's shortest text is what stood in the file."""
    try:
        return Decimal(repr(number) if isinstance(number, float) else str(number))
    except ArithmeticError as error:
        raise UsageError(f"{name}: {key} is {number!r}, which is no number") from error


def user_rows(rows: Iterable[PriceRow]) -> tuple[list[PriceRow], list[str]]:
    """Split rows of the table into those that hold and what is wrong with the others.

    Rows written by SQL meet only what the table itself checks.
    """
    good, faults = [], []
    for row in rows:
        try:
            if row.is_user:
                check(row, f"the row {row.price_id} of prices")
            good.append(row)
        except UsageError as error:
            faults.append(str(error))
    return good, faults
