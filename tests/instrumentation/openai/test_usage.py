"""Token usage as the providers say it, brought to inclusive counts."""

from __future__ import annotations

from typing import Any

import pytest

from tollway.openai.usage import read_usage, usage_attributes

READ, WRITE = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens"
REASONING = "gen_ai.usage.reasoning.output_tokens"


@pytest.mark.parametrize(
    ("said", "provider", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4}, "openai", (3, 4, 7, {})),
        ({"prompt_tokens": "3", "completion_tokens": 4.0}, "openai", (3, 4, 7, {})),
        ({"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}, "openai", (3, 4, 7, {})),
        ({"total_tokens": 7}, "openai", (None, None, 7, {})),
        (
            {"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 6},
            "deepseek",
            (10, 1, 11, {READ: 6}),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 5},
            },
            "openrouter",
            (10, 1, 11, {READ: 2, WRITE: 5}),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_input_tokens": 8},
            },
            "alibaba",
            (10, 1, 11, {READ: 0, WRITE: 8}),
        ),
        (
            {
                "prompt_tokens": 33,
                "completion_tokens": 700,
                "total_tokens": 733,
                "citation_tokens": 1900,
                "reasoning_tokens": 19_000,
            },
            "perplexity",
            (33, 19_700, 19_733, {REASONING: 19_000}),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 1, "cached_tokens": 4},
            "moonshot_ai",
            (10, 1, 11, {READ: 4}),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 40,
                "completion_tokens_details": {"reasoning_tokens": 25},
            },
            "x_ai",
            (10, 30, 40, {REASONING: 25}),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40},
            "gcp.gemini",
            (10, 30, 40, {REASONING: 25}),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 30,
                "total_tokens": 40,
                "completion_tokens_details": {"reasoning_tokens": 25},
            },
            "openai",
            (10, 30, 40, {REASONING: 25}),
        ),
    ],
)
def test_usage_is_read(said: Any, provider: str, expected: Any) -> None:
    usage = read_usage(said, provider)

    assert usage is not None
    got = (usage.input_tokens, usage.output_tokens, usage.total_tokens, usage.details)
    assert got == expected


@pytest.mark.parametrize(
    "said",
    [
        None,
        {},
        [],
        "12",
        3,
        {"prompt_tokens": None},
        {"prompt_tokens": -3},
        {"prompt_tokens": True},
        {"prompt_tokens": "many"},
        {"prompt_tokens": 1.5},
        {"prompt_tokens": 10**30},
    ],
)
def test_usage_that_says_nothing_is_none(said: Any) -> None:
    assert read_usage(said) is None


@pytest.mark.parametrize(
    "said",
    [
        {"cost": 0.0123},
        {"cost": {"input_tokens_cost": 0.01, "total_cost": 0.0123}},
        {"cost_in_usd_ticks": 123_000_000},
        {"cost": 0.0123, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.0123}},
        {"cost": 0.0003, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.012}},
        {"cost": 0.0123, "is_byok": True, "cost_details": None},
    ],
)
def test_cost_that_the_provider_reports_is_told(said: dict[str, Any]) -> None:
    told: dict[str, Any] = {}
    usage = read_usage({"prompt_tokens": 1, "completion_tokens": 1, **said})
    assert usage is not None
    usage_attributes(usage, told)

    assert told["gen_ai.usage.cost.amount"] == pytest.approx(0.0123)
    assert told["gen_ai.usage.cost.source"] == "provider"


def test_groq_s_usage_in_a_stream(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    last = samples.chunk({}, finish="stop", x_groq={"usage": {"prompt_tokens": 6}})
    list(ask(wire.streams([samples.stream()[0], last]).client(), stream=True))

    assert spans.one().attributes["gen_ai.usage.input_tokens"] == 6
