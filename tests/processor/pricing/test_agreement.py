"""The engine's price of every model of the book against genai-prices' own arithmetic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from genai_prices import Usage, data
from genai_prices.data_units import unit_data
from genai_prices.types import ModelInfo, Provider

from tollway_processor.pricing import book, layers

PLAIN = {"input_tokens": 1234, "output_tokens": 567}
SHAPES = [
    PLAIN,
    {"input_tokens": 1, "output_tokens": 0},
    {"input_tokens": 98_765, "output_tokens": 4_321, "cache_read_tokens": 54_321},
    {"input_tokens": 9_001, "output_tokens": 77, "cache_read_tokens": 1_000,
     "cache_write_tokens": 2_000, "cache_write_1h_tokens": 700, "cache_write_5m_tokens": 1_300},
    {"input_tokens": 128_000, "output_tokens": 11, "cache_read_tokens": 100},
    {"input_tokens": 200_000, "output_tokens": 12},
    {"input_tokens": 200_001, "output_tokens": 13, "cache_read_tokens": 150_000, "cache_write_tokens": 50_000},
    {"input_tokens": 272_001, "output_tokens": 14, "cache_write_tokens": 3, "cache_write_1h_tokens": 3},
    {"input_tokens": 1_000_003, "output_tokens": 65_536, "cache_read_tokens": 999_999},
    {"input_tokens": 10_000, "output_tokens": 3_000, "cache_read_tokens": 900,
     "input_audio_tokens": 700, "cache_audio_read_tokens": 70, "input_image_tokens": 1_500,
     "cache_image_read_tokens": 130, "input_video_tokens": 400, "output_audio_tokens": 800,
     "output_image_tokens": 600, "output_video_tokens": 100},
    {"input_tokens": 4_000, "output_tokens": 2_000, "output_reasoning_tokens": 900,
     "output_citation_tokens": 30, "web_searches": 7, "storage_searches": 3, "rerank_searches": 2,
     "social_searches": 1, "code_executions": 4, "input_characters": 12_345,
     "input_text_messages": 3, "input_document_pages": 17, "input_annotated_document_pages": 5},
    {"input_tokens": 0, "output_tokens": 0, "audio_seconds": 4, "input_audio_seconds": 4},
    {"input_tokens": 20, "output_tokens": 30, "audio_seconds": 61, "input_audio_seconds": 61},
    {"input_tokens": 0, "output_tokens": 0, "audio_seconds": Decimal("123.456")},
    {"input_tokens": 0, "output_tokens": 0, "input_characters": 1, "web_searches": 1},
]  # fmt: skip
COLUMNS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "input_audio_tokens": "audio_input_tokens",
    "output_audio_tokens": "audio_output_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
}
DIGIT = Decimal(1).scaleb(-24)


def moments(model: ModelInfo) -> Iterator[datetime]:
    """Before, at and between all that changes a model's price: days, and times of the day."""
    days, seconds = book._bounds(model)
    for day in days:
        for second in seconds:
            start = datetime.combine(day, time(), UTC) + timedelta(seconds=second)
            yield start
            if len(days) > 1 and day > days[0]:
                yield start - timedelta(seconds=1)
    yield datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


def questions() -> Iterator[tuple[Provider, ModelInfo, str, datetime, dict[str, object]]]:
    turn = 0
    for provider in data.providers:
        for model in provider.models:
            for tier in book._tiers(model):
                for moment in moments(model):
                    # Each price sees every fifth shape, other ones the next time.
                    turn += 1
                    for shape in SHAPES[turn % 5 :: 5]:
                        yield provider, model, tier, moment, shape


def expected(provider: Provider, model: ModelInfo, tier: str, moment: datetime, shape) -> Decimal:
    model = provider.find_model(model.id, all_providers=data.providers) or model
    context = {"default": None, "batch": {"processing": "batch"}}.get(
        tier,
        {key: tier for key in ("service_tier", "speed", "route", "search_type")},
    )
    price = model.calc_price(
        usage_of(shape), provider, genai_request_timestamp=moment, price_context=context
    )
    return price.total_price.quantize(DIGIT, ROUND_HALF_EVEN)


def usage_of(shape: dict[str, object]) -> Usage:
    """All units told, 0 where the shape has none: an untold part makes genai-prices refuse."""
    return Usage(**{name: shape.get(name, 0) for name in unit_data if name != "requests"})


def asked(number: int, question) -> str:
    provider, model, tier, moment, shape = question
    told = {COLUMNS[name]: count for name, count in shape.items() if name in COLUMNS}
    usage = {name: str(n) for name, n in shape.items() if name not in COLUMNS}
    return json.dumps({
        "number": number, "provider": provider.id, "request_model": model.id,
        "service_tier": tier, "started_at": int(moment.timestamp()), "usage": usage, **told,
    })  # fmt: skip


@pytest.fixture(scope="module")
def priced(store):
    store.command(
        "CREATE TABLE asked ENGINE = Memory EMPTY AS SELECT toUInt32(0) AS number, "
        "CAST(NULL, 'Nullable(Decimal(38, 24))') AS reported_usd, "
        "* EXCEPT (cost_usd, cost_status, price_id, priced_as) FROM spans"
    )
    everything = list(questions())
    store.codec.prices.learn({(q[0].id, "", q[1].id.lower()) for q in everything})
    text = "\n".join(asked(n, q) for n, q in enumerate(everything)).encode()
    columns = {"number", "provider", "request_model", "service_tier", "started_at", "usage"}
    store.insert_block("asked", sorted(columns | set(COLUMNS.values())), "JSONEachRow", text)
    sql = layers.expand(
        "SELECT number, cost_usd, price_id FROM (SELECT number, @price_cost FROM "
        "(SELECT *, @price_rates FROM asked)) ORDER BY number"
    )
    return everything, store.rows(sql)


def test_every_model_costs_what_genai_prices_says_to_the_last_digit(priced):
    everything, rows = priced
    assert len(rows) == len(everything) > 10_000
    assert {(q[0].id, q[1].id) for q in everything} == {
        (provider.id, model.id) for provider in data.providers for model in provider.models
    }
    wrong = [
        (question[0].id, question[1].id, *question[2:], want, row)
        for question, row in zip(everything, rows, strict=True)
        if (want := expected(*question)) != cost(row) and not is_unknown(question[1], question[0])
    ]
    assert wrong == []


def test_model_that_the_book_has_no_rate_of_is_not_free(priced):
    everything, rows = priced
    unknown = [row for q, row in zip(everything, rows, strict=True) if is_unknown(q[1], q[0])]
    assert {row["cost_usd"] for row in unknown} == {None}
    assert {row["price_id"] for row in unknown} == {""}


def is_unknown(model: ModelInfo, provider: Provider) -> bool:
    """No rate at all, of a provider that gives nothing away."""
    is_priced = isinstance(model.prices, list) or vars(model.prices)
    return provider.id in ("cerebras", "huggingface_together") and not is_priced


def cost(row) -> Decimal | None:
    return None if row["cost_usd"] is None else Decimal(str(row["cost_usd"]))
