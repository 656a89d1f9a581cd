"""Prices that a test sets for itself, and stamps as the processor gives them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from decimal import Decimal

import msgspec
import pytest

from tollway_processor.ingest.stamps import Stamps
from tollway_processor.pricing.config import PricesConfig, normalised
from tollway_processor.pricing.current import CurrentPrices

SetPrices = Callable[..., PricesConfig]


def config_of(*rows: dict[str, object], models: dict[str, str] | None = None) -> PricesConfig:
    """Prices as tollway.toml tells them."""
    told = normalised([*rows]) if models is None else {"rows": [*rows], "models": models}
    return msgspec.convert(told, PricesConfig)


@pytest.fixture
def set_prices(store) -> Iterator[SetPrices]:
    """Price with these rows of a configuration until the test ends."""

    def apply(*rows: dict[str, object], models: dict[str, str] | None = None) -> PricesConfig:
        config = config_of(*rows, models=models)
        CurrentPrices(store, config).apply()
        return config

    yield apply
    CurrentPrices(store, PricesConfig()).apply()


@pytest.fixture
def cost(otlp):
    """Send a call of some attributes; return (cost, status, price_id, priced_as)."""

    def told(**attributes: object) -> tuple[Decimal | None, str, str, str]:
        span = otlp.call(**attributes)
        otlp.send(span)
        (row,) = otlp.stored("spans", span.trace_id)
        usd = None if row["cost_usd"] is None else Decimal(str(row["cost_usd"]))
        return usd, str(row["cost_status"]), str(row["price_id"]), str(row["priced_as"])

    return told


@pytest.fixture(scope="module")
def stamps() -> Stamps:
    return Stamps(time.time_ns)
