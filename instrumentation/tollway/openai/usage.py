"""Own token usage: every provider's way to say it, brought to inclusive counts.

Inclusive: input contains cache reads and writes, output contains reasoning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tollway import attributes as attr
from tollway.openai.fields import count, fields, number

_TOTALS = {
    "prompt_tokens": "input",
    "input_tokens": "input",
    "completion_tokens": "output",
    "output_tokens": "output",
    "total_tokens": "total",
}
_INPUT_DETAILS = {
    "cached_tokens": attr.GEN_AI_USAGE_CACHE_READ,
    "cache_read_tokens": attr.GEN_AI_USAGE_CACHE_READ,
    "cache_write_tokens": attr.GEN_AI_USAGE_CACHE_CREATION,
    "cache_creation_tokens": attr.GEN_AI_USAGE_CACHE_CREATION,
    "cache_creation_input_tokens": attr.GEN_AI_USAGE_CACHE_CREATION,
    "audio_tokens": attr.GEN_AI_USAGE_AUDIO_INPUT,
    "image_tokens": attr.GEN_AI_USAGE_IMAGE_INPUT,
    "text_tokens": attr.GEN_AI_USAGE_TEXT_INPUT,
}
_OUTPUT_DETAILS = {
    "reasoning_tokens": attr.GEN_AI_USAGE_REASONING,
    "audio_tokens": attr.GEN_AI_USAGE_AUDIO_OUTPUT,
    "image_tokens": attr.GEN_AI_USAGE_IMAGE_OUTPUT,
    "text_tokens": attr.GEN_AI_USAGE_TEXT_OUTPUT,
}
_DETAILS = {
    "prompt_tokens_details": _INPUT_DETAILS,
    "input_tokens_details": _INPUT_DETAILS,
    "input_token_details": _INPUT_DETAILS,
    "completion_tokens_details": _OUTPUT_DETAILS,
    "output_tokens_details": _OUTPUT_DETAILS,
    "output_token_details": _OUTPUT_DETAILS,
}
# Providers that put details beside the totals: DeepSeek, Moonshot, Anthropic's compatible API.
_FLAT_DETAILS = {
    "prompt_cache_hit_tokens": attr.GEN_AI_USAGE_CACHE_READ,
    "cached_tokens": attr.GEN_AI_USAGE_CACHE_READ,
    "cache_read_input_tokens": attr.GEN_AI_USAGE_CACHE_READ,
    "cache_creation_input_tokens": attr.GEN_AI_USAGE_CACHE_CREATION,
    "reasoning_tokens": attr.GEN_AI_USAGE_REASONING,
}
_LLM_NAMES = {
    attr.GEN_AI_USAGE_CACHE_READ: attr.LLM_TOKEN_COUNT_CACHE_READ,
    attr.GEN_AI_USAGE_REASONING: attr.LLM_TOKEN_COUNT_REASONING,
}
_TOO_MANY = 2**63
_COSTS = frozenset({"cost", "cost_in_usd_ticks"})
_TICKS_PER_USD = 10_000_000_000  # xAI's cost tracking, docs.x.ai


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
    totals, details = _counts(told)
    input_tokens, output_tokens = totals.get("input"), totals.get("output")
    total = totals.get("total")
    cost = None if _COSTS.isdisjoint(told) else _cost(told)
    if input_tokens is None and output_tokens is None and total is None and cost is None:
        return None
    if details:
        input_tokens = _inclusive_input(input_tokens, details, told)
        reasoning = details.get(attr.GEN_AI_USAGE_REASONING, 0)
        if output_tokens is not None and reasoning > output_tokens:
            output_tokens += reasoning  # Perplexity's deep research, which leaves it out everywhere
    known = (input_tokens or 0) + (output_tokens or 0)
    if total is not None and total > known:
        output_tokens = _inclusive_output(input_tokens, output_tokens, total, details, provider)
    elif input_tokens is not None or output_tokens is not None:
        total = known
    return Usage(input_tokens, output_tokens, total, details, cost)


def _counts(told: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the totals by `_TOTALS`' words, and the details by attribute, as they were sent."""
    totals: dict[str, int] = {}
    details: dict[str, int] = {}
    for key, value in told.items():
        if value is None:
            continue
        if key in _TOTALS:
            if value.__class__ is int and 0 <= value < _TOO_MANY:
                totals.setdefault(_TOTALS[key], value)
            else:
                _take(_TOTALS[key], value, totals)
        elif key in _DETAILS:
            names = _DETAILS[key]
            for name, detail in fields(value).items():
                if detail is not None and name in names:
                    _take(names[name], detail, details)
        elif key in _FLAT_DETAILS:
            _take(_FLAT_DETAILS[key], value, details)
    return totals, details


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


def _take(name: str, value: Any, into: dict[str, int]) -> None:
    tokens = count(value)
    if tokens is not None:
        into.setdefault(name, tokens)


def _inclusive_input(input_tokens: int | None, details: dict[str, int], told: Any) -> int | None:
    """Add cached tokens where a provider leaves them out of the input, as Anthropic does.

    Its own names say so where they stand together; so does a cache larger than the input.
    """
    cached = details.get(attr.GEN_AI_USAGE_CACHE_READ, 0)
    cached += details.get(attr.GEN_AI_USAGE_CACHE_CREATION, 0)
    if not cached or input_tokens is None:
        return input_tokens
    is_anthropic = "input_tokens" in told and (
        "cache_read_input_tokens" in told or "cache_creation_input_tokens" in told
    )
    return input_tokens + cached if is_anthropic or cached > input_tokens else input_tokens


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
    if missing == details.get(attr.GEN_AI_USAGE_REASONING):
        return output_tokens + missing
    if provider in {"gcp.gemini", "gcp.vertex_ai"}:
        details.setdefault(attr.GEN_AI_USAGE_REASONING, missing)
        return output_tokens + missing
    return output_tokens


def _cost(told: Mapping[str, Any]) -> float | None:
    """Return the cost in US dollars where the provider reports it (OpenRouter, Perplexity, xAI).

    With a key of the app's own, OpenRouter's `cost` is its fee alone, beside what the key's owner
    pays upstream.
    """
    value = number(told.get("cost"))
    if value is None:
        value = number(fields(told.get("cost")).get("total_cost"))
    if value is None:
        ticks = number(told.get("cost_in_usd_ticks"))
        value = ticks / _TICKS_PER_USD if ticks is not None else None
    elif told.get("is_byok") is True:
        value += number(fields(told.get("cost_details")).get("upstream_inference_cost")) or 0
    return float(value) if value is not None and 0 <= value < 1e6 else None
