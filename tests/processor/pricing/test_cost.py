"""The cost of a call: which row of rates, and the sum to the last digit."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price


@pytest.mark.parametrize(
    ("provider", "model", "usage"),
    [
        ("openai", "gpt-4o", (1000, 200, 0, 0)),
        ("openai", "gpt-4o", (1000, 200, 900, 0)),
        ("openai", "gpt-4o-mini", (123_457, 1, 7, 0)),
        ("openai", "text-embedding-3-small", (999, 0, 0, 0)),
        ("anthropic", "claude-sonnet-4-5", (5000, 300, 1000, 2000)),
        ("anthropic", "claude-sonnet-4-5", (250_000, 300, 1000, 2000)),
        ("google", "gemini-2.5-pro", (300_000, 10, 0, 0)),
    ],
)
def test_cost_agrees_with_genai_prices_to_the_last_digit(otlp, provider, model, usage):
    fresh, told, read, written = usage
    span = otlp.span(
        gen_ai__operation__name="chat", gen_ai__provider__name=provider, gen_ai__request__model=model,
        gen_ai__usage__input_tokens=fresh, gen_ai__usage__output_tokens=told,
        gen_ai__usage__cache_read__input_tokens=read,
        gen_ai__usage__cache_creation__input_tokens=written,
    )  # fmt: skip
    otlp.send(span)
    (row,) = otlp.stored("spans", span.trace_id)
    oracle = calc_price(
        Usage(input_tokens=fresh, output_tokens=told, cache_read_tokens=read, cache_write_tokens=written),
        model, provider_id=provider, genai_request_timestamp=datetime.now(UTC),
    )  # fmt: skip
    assert Decimal(str(row["cost_usd"])) == oracle.total_price
    assert row["cost_status"] == "computed"


def test_unknown_model_costs_null_and_is_listed(otlp):
    span = otlp.call(gen_ai__request__model="nobody-1", gen_ai__response__model="Nobody-1")
    otlp.send(span)
    (row,) = otlp.stored("spans", span.trace_id)
    assert (row["cost_usd"], row["cost_status"], row["price_id"]) == (None, "unpriced", "")
    missing = otlp.store.rows("SELECT model FROM unpriced_models FINAL")
    assert {"model": "nobody-1"} in missing


def test_cost_reported_in_the_span_wins(otlp):
    span = otlp.call(gen_ai__usage__cost__amount=0.125)
    otlp.send(span)
    (row,) = otlp.stored("spans", span.trace_id)
    assert (row["cost_usd"], row["cost_status"], row["price_id"]) == ("0.125", "reported", "")


@pytest.mark.parametrize(("currency", "status"), [("EUR", "computed"), ("USD", "reported")])
def test_cost_reported_in_another_currency_is_not_taken_for_usd(otlp, currency, status):
    span = otlp.call(gen_ai__usage__cost__amount=0.125, gen_ai__usage__cost__currency=currency)
    otlp.send(span)
    (row,) = otlp.stored("spans", span.trace_id)
    assert (row["cost_status"], row["cost_usd"] == "0.125") == (status, status == "reported")


def test_call_without_tokens_has_no_usage_and_no_cost(otlp):
    span = otlp.span(gen_ai__operation__name="chat", gen_ai__request__model="gpt-4o")
    otlp.send(span)
    (row,) = otlp.stored("spans", span.trace_id)
    assert (row["cost_usd"], row["cost_status"]) == (None, "no_usage")


def test_agent_span_that_sums_its_calls_is_no_call(otlp):
    span = otlp.call(gen_ai__operation__name="invoke_agent")
    otlp.send(span)
    assert otlp.stored("spans", span.trace_id)[0]["cost_status"] == ""


def test_batch_tier_takes_its_own_rate(otlp):
    span = otlp.call(
        gen_ai__request__model="gpt-4o-mini", gen_ai__response__model="gpt-4o-mini",
        openai__response__service_tier="batch",
    )  # fmt: skip
    otlp.send(span)
    (row,) = otlp.stored("spans", span.trace_id)
    assert ":batch:" in str(row["price_id"])
    assert Decimal(str(row["cost_usd"])) == 100 * Decimal("7.5e-8") + 10 * Decimal("3e-7")
