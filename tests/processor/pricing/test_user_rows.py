"""Users' own prices, worked out by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec
import pytest
from tests.processor.pricing.conftest import config_of

from tollway_processor.errors import StoreError, UsageError
from tollway_processor.pricing import table
from tollway_processor.pricing.config import PricesConfig
from tollway_processor.pricing.current import CurrentPrices

STUDENT = {"gen_ai__request__model": "acme-student-7b-awq", "gen_ai__response__model": "acme-student-7b-awq"}  # fmt: skip
VLLM = {**STUDENT, "gen_ai__provider__name": "vllm"}


def test_exact_row_prices_a_model_that_the_book_does_not_know(set_prices, cost):
    set_prices(
        {"model": "ACME-student-7b-awq", "input_usd_per_mtok": 0.1, "output_usd_per_mtok": "0.3"}
    )
    usd, status, price_id, priced_as = cost(**VLLM)
    # 100 tokens in at 0.1 and 10 out at 0.3 USD a million.
    assert usd == Decimal("0.000013")
    assert status == "computed"
    assert price_id == "user:*/ACME-student-7b-awq:default:1970-01-01"
    assert priced_as == "vllm/acme-student-7b-awq"


def test_row_of_a_user_wins_over_the_book_but_not_over_a_reported_cost(set_prices, cost):
    set_prices(
        {"model": "gpt-4o", "provider": "openai", "input_usd_per_mtok": 1, "output_usd_per_mtok": 2}
    )
    assert cost()[:2] == (Decimal("0.00012"), "computed")
    assert cost(gen_ai__usage__cost__amount=0.5)[:2] == (Decimal("0.5"), "reported")


def test_whole_name_wins_over_prefix_over_regular_expression(set_prices, cost):
    set_prices(
        {"model_regex": "acme-.*", "input_usd_per_mtok": 1},
        {"model_prefix": "acme-student", "input_usd_per_mtok": 2},
        {"model_prefix": "acme-", "input_usd_per_mtok": 3},
        {"model": "acme-student-7b-awq", "input_usd_per_mtok": 4},
    )
    assert cost(**VLLM)[0] == Decimal("0.0004")
    assert cost(**{**VLLM, "gen_ai__response__model": "acme-student-1b"})[0] == Decimal("0.0002")
    assert cost(**{**VLLM, "gen_ai__response__model": "acme-other"})[0] == Decimal("0.0003")


def test_discount_lowers_the_books_rates_and_keeps_their_tiers(set_prices, cost):
    full = cost()[0]
    batch = cost(openai__response__service_tier="batch")[0]
    set_prices({"model_prefix": "gpt-4o", "discount_percent": 12.5})
    usd, status, price_id, priced_as = cost()
    assert usd == full * Decimal("0.875")
    assert (status, priced_as) == ("computed", "openai/gpt-4o")
    assert price_id == "user:*/gpt-4o:default:1970-01-01"
    assert cost(openai__response__service_tier="batch")[0] == batch * Decimal("0.875") < usd


def test_gpu_hours_are_spread_over_the_tokens_they_serve(set_prices, cost):
    set_prices(
        {"model": "acme-student-7b-awq", "gpu_hour_usd": "2.50", "gpus": 2, "tokens_per_s": 4000}
    )
    # 5 USD an hour over 4000 tokens a second: 5 / 3600 / 4000 a token, for 110 tokens.
    rate = (Decimal(5) / 3600 / 4000).quantize(Decimal(1).scaleb(-24))
    assert cost(**VLLM)[:2] == (110 * rate, "estimated")


def test_throughputs_of_reading_and_writing_are_told_apart(set_prices, cost):
    set_prices(
        {
            "model": "acme-student-7b-awq",
            "gpu_hour_usd": 3.6,
            "input_tokens_per_s": 10_000,
            "output_tokens_per_s": 500,
        }
    )
    # 0.001 USD a second: 100 tokens in take 0.01 s, 10 tokens out 0.02 s.
    assert cost(**VLLM)[:2] == (Decimal("0.00003"), "estimated")


def test_price_by_the_second_is_for_the_time_the_call_took(set_prices, cost):
    set_prices({"model": "acme-student-7b-awq", "second_usd": 0.002})
    assert cost(**VLLM, duration_ns=1_500_000_000)[:2] == (Decimal("0.003"), "estimated")


def test_price_by_the_call_needs_no_usage(set_prices, otlp):
    set_prices({"model": "acme-judge", "request_usd": "0.01"})
    span = otlp.span(gen_ai__operation__name="chat", gen_ai__request__model="acme-judge")
    otlp.send(span)
    (row,) = otlp.stored("spans", span.trace_id)
    assert (row["cost_usd"], row["cost_status"]) == ("0.01", "computed")


def test_units_of_the_usage_have_rates_of_their_own(set_prices, cost):
    set_prices({"model": "acme-vision", "input_usd_per_mtok": 1, "units": {"input_image_tokens": "0.000005", "audio_hours": 0.36}})  # fmt: skip
    told = {**VLLM, "gen_ai__response__model": "acme-vision"}
    # 40 of the 100 tokens in are of an image: 60 at 1e-6, 40 at 5e-6; 30 s of audio at 0.36 an hour.
    usd, *_ = cost(**told, gen_ai__usage__image__input_tokens=40, tollway__usage__audio_seconds=30)
    assert usd == Decimal("0.00006") + Decimal("0.0002") + Decimal("0.003")


def test_long_prompts_and_days_have_rows_of_their_own(set_prices, cost):
    set_prices(
        {"model": "acme-student-7b-awq", "input_usd_per_mtok": 1, "valid_to": date(2025, 12, 31)},
        {"model": "acme-student-7b-awq", "input_usd_per_mtok": 2, "valid_from": date(2026, 1, 1)},
        {"model": "acme-student-7b-awq", "input_usd_per_mtok": 3, "above_input_tokens": 1000, "valid_from": date(2026, 1, 1)},
        {"model": "acme-student-7b-awq", "input_usd_per_mtok": 4, "above_input_tokens": 5000, "valid_from": date(2026, 1, 1)},
    )  # fmt: skip
    for tokens, rate in ((1000, 2), (1001, 3), (5000, 3), (5001, 4)):
        usd, *_ = cost(**VLLM, gen_ai__usage__input_tokens=tokens)
        assert usd == Decimal(tokens * rate) / 1_000_000


def test_free_model_costs_nothing_and_an_unknown_one_is_not_free(set_prices, cost):
    set_prices({"model": "acme-student-7b-awq", "free": True})
    assert cost(**VLLM)[:2] == (Decimal(0), "computed")
    assert cost(gen_ai__response__model="acme-9", gen_ai__request__model="acme-9")[:2] == (
        None,
        "unpriced",
    )


def test_map_of_models_prices_a_deployment_as_what_it_serves(set_prices, cost):
    set_prices(models={"our-deployment": "openai/gpt-4o"})
    told = {"gen_ai__provider__name": "azure.ai.openai", "gen_ai__request__model": "Our-Deployment",
            "gen_ai__response__model": "Our-Deployment"}  # fmt: skip
    assert cost(**told)[3] == "openai/gpt-4o"
    set_prices()
    assert cost(**told)[1] == "unpriced"


def test_row_inserted_by_sql_holds_after_the_next_look(store, cost):
    prices = CurrentPrices(store, PricesConfig())
    store.command(
        "INSERT INTO prices (provider, model, match, input_usd_per_token) "
        "VALUES ('', 'sql-model', 'prefix', 0.000002)"
    )
    assert prices.refresh()
    assert not prices.refresh()
    told = {**VLLM, "gen_ai__response__model": "sql-model-8b"}
    assert cost(**told)[:3] == (Decimal("0.0002"), "computed", "user:/sql-model:default:1970-01-01")


def test_sql_cannot_insert_a_negative_rate(store):
    with pytest.raises(StoreError, match="a_user_rate_is_above_0"):
        store.command("INSERT INTO prices (model, input_usd_per_token) VALUES ('m', -1)")


def test_row_that_leaves_the_configuration_no_longer_holds(set_prices, store):
    set_prices({"model": "acme-student-7b-awq", "input_usd_per_mtok": 1})
    set_prices()
    assert [row for row in table.read(store) if row.source == "toml"] == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"model": "m", "input_usd_per_mtok": 0}], r"row 1 \(any provider, m\): input_tokens is 0: a price is above 0"),
        ([{"model": "m", "input_usd_per_mtok": -1}], "input_tokens is -0.000001"),
        ([{"model": "m", "input_usd_per_mtok": 2e9}], "is it a typo"),
        ([{"model": "m", "input_usd_per_mtok": float("nan")}], "a price is above 0"),
        ([{"model": "m", "input_usd_per_mtok": "ten"}], "input_usd_per_mtok is 'ten', which is no number"),
        ([{"model": "m"}], "no price"),
        ([{"input_usd_per_mtok": 1}], "row 1: give one of model, model_prefix and model_regex"),
        ([{"model": "m", "discount_percent": 120}], "between 0 and 100"),
        ([{"model": "m", "discount_percent": 10, "request_usd": 1}], "only one of"),
        ([{"model": "m", "gpu_hour_usd": 2}], "throughput"),
        ([{"model": "m", "tokens_per_s": 2, "request_usd": 1}], "throughput"),
        ([{"model_regex": "(", "request_usd": 1}], r"model_regex '\('"),
        ([{"model": "m", "units": {"smiles": 1}}], "unknown unit smiles"),
        ([{"model": "m", "request_usd": 1, "valid_from": date(2026, 2, 1), "valid_to": date(2026, 1, 1)}], "is after"),
        ([{"model": "m", "request_usd": 1}, {"model": "M", "request_usd": 2, "valid_from": date(2026, 1, 1)}],
         "both hold from 2026-01-01 on"),
    ],
)  # fmt: skip
def test_row_that_cannot_hold_is_refused_by_name(rows, said):
    with pytest.raises(UsageError, match=said):
        config_of(*rows).price_rows()


def test_unknown_key_is_refused():
    with pytest.raises(msgspec.ValidationError, match="unknown field `input_usd`"):
        config_of({"model": "m", "input_usd": 1})


def test_map_that_follows_the_rows_in_toml_belongs_to_all():
    config = config_of({"model": "m", "request_usd": 1, "models": {"a": "openai/gpt-4o"}})
    assert config.models == {"a": "openai/gpt-4o"}
    assert len(config.price_rows()) == 1
