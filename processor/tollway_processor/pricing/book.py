"""The price book: genai-prices' data as effective-dated rows of `prices`.

Only rates a token are taken here; everything is Decimal, in USD a token.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from genai_prices import data
from genai_prices.types import ModelInfo, StartDateConstraint, TieredPrices

FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(2149, 6, 6)  # the largest Date of ClickHouse
_MTOK = Decimal(1_000_000)


class Rates(NamedTuple):
    """USD a token: input, output, cache read, cache write."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal


class PriceRow(NamedTuple):
    """One row of the table `prices`, in the order of its columns less updated_at."""

    price_id: str
    origin: str
    provider: str
    model: str
    tier: str
    valid_from: date
    valid_to: date
    rates: Rates
    long_context_after: int
    long_rates: Rates


def book_rows() -> list[PriceRow]:
    """Return the book's rows for all providers and models that have a rate a token."""
    return [
        row
        for provider in data.providers
        for model in provider.models
        for row in _model_rows(provider.id, model)
    ]


def _model_rows(provider: str, model: ModelInfo) -> Iterator[PriceRow]:
    standard: list[tuple[date, Any]] = []
    prices = model.prices if isinstance(model.prices, list) else [model.prices]
    for price in prices:
        constraint = getattr(price, "constraint", None)
        if constraint is None:
            standard.append((FIRST_DAY, getattr(price, "prices", price)))
        elif isinstance(constraint, StartDateConstraint):
            standard.append((constraint.start_date, price.prices))
        # A time-of-day constraint is an off-peak discount: the standard rate is kept.
    yield from _dated_rows(provider, model.id, "default", standard)
    for tier in ("batch", "flex", "priority"):
        variants = [
            (getattr(v.constraint, "start_date", FIRST_DAY), v.prices)
            for v in model.price_variants or []
            if v.when == {"processing": tier}
        ]
        yield from _dated_rows(provider, model.id, tier, variants)


def _dated_rows(
    provider: str, model: str, tier: str, dated: list[tuple[date, Any]]
) -> Iterator[PriceRow]:
    if not dated:
        return
    dated = sorted(dated, key=lambda item: item[0])
    ends = [start - timedelta(days=1) for start, _ in dated[1:]] + [LAST_DAY]
    for (start, price), end in zip(dated, ends, strict=True):
        if price.input_mtok is None and price.output_mtok is None:
            continue
        after = _long_context_after(price)
        yield PriceRow(
            price_id=f"book:{provider}/{model}:{tier}:{start.isoformat()}",
            origin="book",
            provider=provider,
            model=model,
            tier=tier,
            valid_from=start,
            valid_to=end,
            rates=_rates(price, 0),
            long_context_after=after,
            long_rates=_rates(price, after + 1),
        )


def _rates(price: Any, input_tokens: int) -> Rates:
    """Rates of a call with `input_tokens`; a cache rate that is not told is the input's."""
    fresh = _at(price.input_mtok, input_tokens)
    base = fresh or Decimal(0)
    read = _at(price.cache_read_mtok, input_tokens)
    write = _at(price.cache_write_mtok, input_tokens)
    return Rates(
        input=base / _MTOK,
        output=(_at(price.output_mtok, input_tokens) or Decimal(0)) / _MTOK,
        cache_read=(base if read is None else read) / _MTOK,
        cache_write=(base if write is None else write) / _MTOK,
    )


def _at(price: Decimal | TieredPrices | None, input_tokens: int) -> Decimal | None:
    if isinstance(price, TieredPrices):
        passed = [tier.price for tier in price.tiers if input_tokens > tier.start]
        return passed[-1] if passed else price.base
    return price


def _long_context_after(price: Any) -> int:
    starts = [
        price_of.tiers[0].start
        for price_of in (price.input_mtok, price.output_mtok)
        if isinstance(price_of, TieredPrices) and price_of.tiers
    ]
    return min(starts, default=0)
