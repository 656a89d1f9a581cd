"""Money in the engine is Decimal: a sum is the sum of its parts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tollway_processor.pricing import layers


@pytest.mark.slow
def test_a_million_calls_cost_the_sum_of_their_tokens_times_their_rates(store):
    store.codec.prices.learn([("openai", "", "gpt-4o-mini")])
    priced = layers.expand(
        "SELECT input_tokens, output_tokens, cache_read_tokens, @price_cost FROM "
        "(SELECT *, @price_rates FROM (SELECT "
        "'openai' AS provider, '' AS response_model, 'gpt-4o-mini' AS request_model, "
        "'chat' AS operation, '' AS service_tier, toDateTime64('2026-05-05 12:00:00', 9, 'UTC') AS started_at, "
        "1 AS duration_ns, CAST(NULL, 'Nullable(UInt64)') AS latency_ns, "
        "CAST(number % 9973 + 1000, 'Nullable(UInt32)') AS input_tokens, "
        "CAST(number % 991, 'Nullable(UInt32)') AS output_tokens, "
        "CAST(number % 997, 'Nullable(UInt32)') AS cache_read_tokens, "
        "CAST(NULL, 'Nullable(UInt32)') AS cache_write_tokens, "
        "CAST(NULL, 'Nullable(UInt32)') AS cache_write_1h_tokens, "
        "CAST(NULL, 'Nullable(UInt32)') AS reasoning_tokens, "
        "CAST(NULL, 'Nullable(UInt32)') AS audio_input_tokens, "
        "CAST(NULL, 'Nullable(UInt32)') AS audio_output_tokens, "
        "CAST(map(), 'Map(LowCardinality(String), Decimal(18, 6))') AS usage, "
        "CAST(NULL, 'Nullable(Decimal(38, 24))') AS reported_usd "
        "FROM numbers(1000000)))"
    )
    (row,) = store.rows(
        "SELECT sum(cost_usd) AS usd, sum(input_tokens) AS input, sum(output_tokens) AS output, "
        f"sum(cache_read_tokens) AS cached, count(cost_usd) AS n FROM ({priced})"
    )
    rates = {"input": "0.15", "cached": "0.075", "output": "0.60"}  # USD a million
    by_hand = (
        (int(str(row["input"])) - int(str(row["cached"]))) * Decimal(rates["input"])
        + int(str(row["cached"])) * Decimal(rates["cached"])
        + int(str(row["output"])) * Decimal(rates["output"])
    ) / 1_000_000
    assert row["n"] == 1_000_000
    assert Decimal(str(row["usd"])) == by_hand
