"""Own token usage: every provider's way to say it, brought to inclusive counts.

Inclusive: input contains cache reads and writes, output contains reasoning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tollway import attributes as attr
from tollway.openai.fields import count, fields, number

# attribute -> where it is said, first present wins; "a/b" is field b of the object in field a.
_COUNTS: dict[str, tuple[str, ...]] = {
    "input": ("prompt_tokens", "input_tokens"),
    "output": ("completion_tokens", "output_tokens"),
    "total": ("total_tokens",),
}
_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_INPUT_DETAIL_NAMES: dict[str, tuple[str, ...]] = {
    attr.GEN_AI_USAGE_CACHE_READ: ("cached_tokens", "cache_read_tokens"),
    attr.GEN_AI_USAGE_CACHE_CREATION: ("cache_write_tokens", "cache_creation_tokens"),
    attr.GEN_AI_USAGE_AUDIO_INPUT: ("audio_tokens",),
    attr.GEN_AI_USAGE_IMAGE_INPUT: ("image_tokens",),
    attr.GEN_AI_USAGE_TEXT_INPUT: ("text_tokens",),
}
_OUTPUT_DETAIL_NAMES: dict[str, tuple[str, ...]] = {
    attr.GEN_AI_USAGE_REASONING: ("reasoning_tokens",),
    attr.GEN_AI_USAGE_AUDIO_OUTPUT: ("audio_tokens",),
    attr.GEN_AI_USAGE_IMAGE_OUTPUT: ("image_tokens",),
    attr.GEN_AI_USAGE_TEXT_OUTPUT: ("text_tokens",),
}
# Providers that put details beside the totals: DeepSeek, Moonshot, Anthropic's compatible API.
_FLAT_NAMES = {
    attr.GEN_AI_USAGE_CACHE_READ: (
        "prompt_cache_hit_tokens",
        "cached_tokens",
        "cache_read_input_tokens",
    ),
    attr.GEN_AI_USAGE_CACHE_CREATION: ("cache_creation_input_tokens",),
    attr.GEN_AI_USAGE_REASONING: ("reasoning_tokens",),
}
_LLM_NAMES = {
    attr.GEN_AI_USAGE_CACHE_READ: attr.LLM_TOKEN_COUNT_CACHE_READ,
    attr.GEN_AI_USAGE_REASONING: attr.LLM_TOKEN_COUNT_REASONING,
}


@dataclass(slots=True)
class Usage:
    """Token counts of one call, inclusive; None where the provider did not say."""

    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    details: dict[str, int]
    cost_usd: float | None


def read_usage(said: Any, provider: str = "openai") -> Usage | None:
    """Read a usage object of any known form; None when it says nothing countable."""
    told = fields(said)
    if not told:
        return None
    input_tokens = _first(told, _COUNTS["input"])
    output_tokens = _first(told, _COUNTS["output"])
    total = _first(told, _COUNTS["total"])
    details: dict[str, int] = {}
    _read_details(told, _INPUT_DETAILS, _INPUT_DETAIL_NAMES, details)
    _read_details(told, _OUTPUT_DETAILS, _OUTPUT_DETAIL_NAMES, details)
    for name, places in _FLAT_NAMES.items():
        if name not in details:
            value = _first(told, places)
            if value is not None:
                details[name] = value
    cost = _cost(told)
    if input_tokens is None and output_tokens is None and total is None and cost is None:
        return None
    output_tokens = _inclusive_output(input_tokens, output_tokens, total, details, provider)
    if total is None and (input_tokens is not None or output_tokens is not None):
        total = (input_tokens or 0) + (output_tokens or 0)
    return Usage(input_tokens, output_tokens, total, details, cost)


def usage_attributes(usage: Usage, into: dict[str, Any]) -> None:
    """Add the attributes of a usage to those of a span."""
    if usage.input_tokens is not None:
        into[attr.GEN_AI_USAGE_INPUT_TOKENS] = usage.input_tokens
        into[attr.LLM_TOKEN_COUNT_PROMPT] = usage.input_tokens
    if usage.output_tokens is not None:
        into[attr.GEN_AI_USAGE_OUTPUT_TOKENS] = usage.output_tokens
        into[attr.LLM_TOKEN_COUNT_COMPLETION] = usage.output_tokens
    if usage.total_tokens is not None:
        into[attr.LLM_TOKEN_COUNT_TOTAL] = usage.total_tokens
    for name, value in usage.details.items():
        into[name] = value
        twin = _LLM_NAMES.get(name)
        if twin is not None:
            into[twin] = value
    if usage.cost_usd is not None:
        into[attr.GEN_AI_USAGE_COST] = usage.cost_usd
        into[attr.GEN_AI_USAGE_COST_SOURCE] = "provider"


def _first(told: Any, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = count(told.get(name))
        if value is not None:
            return value
    return None


def _read_details(
    told: Any, holders: tuple[str, ...], names: dict[str, tuple[str, ...]], into: dict[str, int]
) -> None:
    for holder in holders:
        detail = told.get(holder)
        if detail is None:
            continue
        said = fields(detail)
        for attribute, places in names.items():
            value = _first(said, places)
            if value is not None:
                into[attribute] = value
        return


def _inclusive_output(
    input_tokens: int | None,
    output_tokens: int | None,
    total: int | None,
    details: dict[str, int],
    provider: str,
) -> int | None:
    """Add reasoning tokens where a provider leaves them out of the output but in the total.

    xAI does so with the count told, Gemini without it.
    """
    if input_tokens is None or output_tokens is None or total is None:
        return output_tokens
    missing = total - input_tokens - output_tokens
    if missing <= 0:
        return output_tokens
    if missing == details.get(attr.GEN_AI_USAGE_REASONING):
        return output_tokens + missing
    if provider in {"gcp.gemini", "gcp.vertex_ai"}:
        details.setdefault(attr.GEN_AI_USAGE_REASONING, missing)
        return output_tokens + missing
    return output_tokens


def _cost(told: Any) -> float | None:
    """Return the cost in US dollars where the provider reports it (OpenRouter, Perplexity)."""
    cost = told.get("cost")
    if cost is None:
        return None
    value = number(cost)
    if value is None:
        value = number(fields(cost).get("total_cost"))
    return float(value) if value is not None and 0 <= value < 1e6 else None
