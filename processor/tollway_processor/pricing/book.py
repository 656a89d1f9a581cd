"""The price book: genai-prices' data as effective-dated rows of `prices`.

Which price holds when is asked of genai-prices itself, once for every stretch of days, time of the
day and tier in which its answer cannot change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

from genai_prices import data
from genai_prices.types import ModelInfo, StartDateConstraint, TieredPrices, TimeOfDateConstraint

from tollway_processor.pricing.row import DAY_S, DEFAULT_TIER, FIRST_DAY, LAST_DAY, PriceRow
from tollway_processor.pricing.units import BY_PRICE_KEY, SECONDS_AN_HOUR

# The book writes a free model as one without rates; these providers sell all that they serve, so
# that there it is a rate nobody knows.
_SELL_ALL = ("cerebras", "huggingface_together")
# Groq bills at least ten seconds of audio (a rule in genai-prices' code, not in its data).
_LEAST_SECONDS = {("groq", "whisper-large-v3"): 10, ("groq", "whisper-large-v3-turbo"): 10}

Price = Mapping[str, Decimal | TieredPrices]  # by genai-prices' price key


class _Stretch(NamedTuple):
    """A price and when it holds: days (both included) and seconds of the day (end excluded)."""

    first: date
    last: date
    from_s: int
    until_s: int
    price: Price


@cache
def book_rows() -> tuple[PriceRow, ...]:
    """Return the book's rows for all providers and models (some 0.4 CPU-seconds of work)."""
    return tuple(
        row
        for provider in data.providers
        for model in provider.models
        for row in model_rows(provider.id, model)
    )


def model_rows(provider: str, model: ModelInfo) -> Iterator[PriceRow]:
    """Yield the rows of one model: its tiers, days, times of the day, lengths of the prompt."""
    for tier in _tiers(model):
        for stretch in _stretches(model, tier):
            if not stretch.price and provider in _SELL_ALL:
                continue
            yield from _rows(provider, model.id, tier, stretch)


def _tiers(model: ModelInfo) -> list[str]:
    """The default, and every value that some variant of the price asks for and that changes it."""
    told = {
        "+".join(variant.when.values()).lower()
        for variant in model.price_variants or []
        if _told(variant.prices)
    }
    return [DEFAULT_TIER, *sorted(told - {DEFAULT_TIER})]


def _context(model: ModelInfo, tier: str) -> dict[str, str]:
    """What genai-prices is asked with: each variant of that tier, under whatever key it stands."""
    context: dict[str, str] = {}
    for variant in model.price_variants or []:
        if "+".join(variant.when.values()).lower() == tier:
            context.update(variant.when)
    return context


def _stretches(model: ModelInfo, tier: str) -> list[_Stretch]:
    days, seconds = _bounds(model)
    context = _context(model, tier)
    found: list[_Stretch] = []
    for first, after in pairwise([*days, LAST_DAY + timedelta(days=1)]):
        last = after - timedelta(days=1)
        pieces = [
            _Stretch(first, last, start, end, _price(model, first, start, context))
            for start, end in pairwise([*seconds, DAY_S])
        ]
        found.extend(_joined(pieces))
    return found if len(days) == 1 else _lengthened(found)


def _bounds(model: ModelInfo) -> tuple[list[date], list[int]]:
    """The days and the seconds of the day at which some constraint begins or ends to hold."""
    days, seconds = {FIRST_DAY}, {0}
    prices = model.prices if isinstance(model.prices, list) else []
    constraints = [price.constraint for price in prices]
    constraints += [variant.constraint for variant in model.price_variants or []]
    for constraint in constraints:
        if isinstance(constraint, StartDateConstraint):
            days.add(max(constraint.start_date, FIRST_DAY))
        elif isinstance(constraint, TimeOfDateConstraint):
            seconds.update((_second(constraint.start_time), _second(constraint.end_time)))
    return sorted(days), sorted(seconds)


def _second(moment: time) -> int:
    if moment.tzinfo is not None:
        moment = datetime.combine(FIRST_DAY, moment).astimezone(UTC).time()
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def _price(model: ModelInfo, day: date, second: int, context: dict[str, str]) -> Price:
    moment = datetime.combine(day, time(), UTC) + timedelta(seconds=second)
    return _told(model.get_prices(moment, context or None))


def _told(price: Any) -> Price:
    return {k: v for k, v in vars(price).items() if v is not None and k in BY_PRICE_KEY}


def _joined(pieces: list[_Stretch]) -> list[_Stretch]:
    """Join what follows on the same day at the same price."""
    joined = pieces[:1]
    for piece in pieces[1:]:
        if piece.price == joined[-1].price:
            joined[-1] = joined[-1]._replace(until_s=piece.until_s)
        else:
            joined.append(piece)
    return joined


def _lengthened(stretches: list[_Stretch]) -> list[_Stretch]:
    """Join what follows at the same price and times on the next days."""
    open_ones: dict[tuple[int, int], int] = {}
    joined: list[_Stretch] = []
    for piece in stretches:
        at = open_ones.get((piece.from_s, piece.until_s))
        if at is not None and _follows(joined[at], piece):
            joined[at] = joined[at]._replace(last=piece.last)
        else:
            open_ones[piece.from_s, piece.until_s] = len(joined)
            joined.append(piece)
    return joined


def _follows(earlier: _Stretch, later: _Stretch) -> bool:
    return later.first - earlier.last == timedelta(days=1) and later.price == earlier.price


def _rows(provider: str, model: str, tier: str, stretch: _Stretch) -> Iterator[PriceRow]:
    steps = {0}
    for price in stretch.price.values():
        if isinstance(price, TieredPrices):
            steps.update(step.start for step in price.tiers)
    price_id = f"book:{provider}/{model}:{tier}:{stretch.first.isoformat()}"
    if stretch.until_s - stretch.from_s < DAY_S:
        price_id += f":{_clock(stretch.from_s)}-{_clock(stretch.until_s)}"
    for above in sorted(steps):
        yield PriceRow(
            price_id=price_id + (f":>{above}" if above else ""),
            origin="book",
            source="book",
            provider=provider,
            model=model,
            tier=tier,
            valid_from=stretch.first,
            valid_to=stretch.last,
            day_from_s=stretch.from_s,
            day_until_s=stretch.until_s,
            above_input_tokens=above,
            rates=_rates(stretch.price, above),
            least_seconds=_LEAST_SECONDS.get((provider, model), 0),
            is_free=not stretch.price,
        )  # fmt: skip


def _clock(second: int) -> str:
    return f"{second // 3600:02d}{second // 60 % 60:02d}"


def _rates(price: Price, above: int) -> dict[str, Decimal]:
    return {BY_PRICE_KEY[key].rate_name: _rate(key, price[key], above) for key in price}


def _rate(key: str, price: Decimal | TieredPrices, above: int) -> Decimal:
    """The rate a unit for prompts just above a step; by the hour for what is sold so."""
    if isinstance(price, TieredPrices):
        passed = [step.price for step in price.tiers if above + 1 > step.start]
        price = passed[-1] if passed else price.base
    unit = BY_PRICE_KEY[key]
    return price if unit.per == SECONDS_AN_HOUR else price / unit.per
