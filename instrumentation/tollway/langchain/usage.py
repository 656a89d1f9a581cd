"""Own the token counts of an answer, from LangChain's `usage_metadata` to inclusive totals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tollway import attributes as attr

# What langchain-openai and others put before a detail's name: "flex_cache_read", and alone: "flex".
_TIERS = ("flex", "priority", "batch", "scale", "default")
# The parts of a cache write by how long it lives; some integrations give their sum as well.
_EPHEMERAL = "ephemeral"
# Names that Anthropic's own usage has, whose input tokens leave out what the cache took or gave.
_BESIDE_INPUT = {
    "cache_read_input_tokens": attr.GEN_AI_USAGE_CACHE_READ,
    "cache_creation_input_tokens": attr.GEN_AI_USAGE_CACHE_CREATION,
}
_INPUT_DETAILS = {
    "cache_read": attr.GEN_AI_USAGE_CACHE_READ,
    "cache_creation": attr.GEN_AI_USAGE_CACHE_CREATION,
    "ephemeral_5m_input_tokens": _EPHEMERAL,
    "ephemeral_1h_input_tokens": _EPHEMERAL,
    "cached_tokens": attr.GEN_AI_USAGE_CACHE_READ,
    "audio_tokens": attr.GEN_AI_USAGE_AUDIO_INPUT,
    "audio": attr.GEN_AI_USAGE_AUDIO_INPUT,
    "image": attr.GEN_AI_USAGE_IMAGE_INPUT,
    "text": attr.GEN_AI_USAGE_TEXT_INPUT,
}
_OUTPUT_DETAILS = {
    "reasoning": attr.GEN_AI_USAGE_REASONING,
    "reasoning_tokens": attr.GEN_AI_USAGE_REASONING,
    "audio_tokens": attr.GEN_AI_USAGE_AUDIO_OUTPUT,
    "audio": attr.GEN_AI_USAGE_AUDIO_OUTPUT,
    "image": attr.GEN_AI_USAGE_IMAGE_OUTPUT,
    "text": attr.GEN_AI_USAGE_TEXT_OUTPUT,
}
_DETAILS = {
    "input_token_details": _INPUT_DETAILS,
    "output_token_details": _OUTPUT_DETAILS,
    "prompt_tokens_details": _INPUT_DETAILS,
    "completion_tokens_details": _OUTPUT_DETAILS,
}
_LLM_NAMES = {
    attr.GEN_AI_USAGE_INPUT_TOKENS: attr.LLM_TOKEN_COUNT_PROMPT,
    attr.GEN_AI_USAGE_OUTPUT_TOKENS: attr.LLM_TOKEN_COUNT_COMPLETION,
    attr.GEN_AI_USAGE_CACHE_READ: attr.LLM_TOKEN_COUNT_CACHE_READ,
    attr.GEN_AI_USAGE_REASONING: attr.LLM_TOKEN_COUNT_REASONING,
}


def usage_attributes(usage: Any) -> dict[str, Any]:
    """Return the usage attributes of one `usage_metadata`, or a provider's own usage mapping.

    Counts are inclusive: details are part of the totals. A tier in the details' names (a flex
    call's `flex_cache_read`) becomes the response's service tier, unless it is the default one.
    """
    if not usage or not isinstance(usage, Mapping):
        return {}
    counts: dict[str, Any] = {}
    _totals(usage, counts)
    tier = None
    for details, names in _DETAILS.items():
        tier = _details(usage.get(details), names, counts) or tier
    ephemeral = counts.pop(_EPHEMERAL, 0)
    if ephemeral > counts.get(attr.GEN_AI_USAGE_CACHE_CREATION, 0):
        counts[attr.GEN_AI_USAGE_CACHE_CREATION] = ephemeral
    for name, llm_name in _LLM_NAMES.items():
        if name in counts:
            counts[llm_name] = counts[name]
    if tier is not None and tier != "default":
        counts[attr.OPENAI_RESPONSE_SERVICE_TIER] = tier
    return counts


def _totals(usage: Mapping[str, Any], counts: dict[str, Any]) -> None:
    total_input = _count(usage, "input_tokens", "prompt_tokens")
    total_output = _count(usage, "output_tokens", "completion_tokens")
    for name, attribute in _BESIDE_INPUT.items():
        count = _count(usage, name)
        if count is not None and total_input is not None:
            counts[attribute] = count
            total_input += count
    if total_input is not None:
        counts[attr.GEN_AI_USAGE_INPUT_TOKENS] = total_input
    if total_output is not None:
        counts[attr.GEN_AI_USAGE_OUTPUT_TOKENS] = total_output
    total = _count(usage, "total_tokens")
    if total is None and total_input is not None and total_output is not None:
        total = total_input + total_output
    if total is not None:
        counts[attr.LLM_TOKEN_COUNT_TOTAL] = total


def _details(details: Any, names: Mapping[str, str], counts: dict[str, Any]) -> str | None:
    """Add the details to the counts; return the tier that their names carry."""
    if not details or not isinstance(details, Mapping):
        return None
    found: str | None = None
    for key, value in details.items():
        if not isinstance(key, str) or not _is_count(value):
            continue
        tier, name = _split_tier(key)
        found = found or tier
        attribute = names.get(name)
        if attribute is not None:
            counts[attribute] = counts.get(attribute, 0) + int(value)
    return found


def _split_tier(key: str) -> tuple[str | None, str]:
    for tier in _TIERS:
        if key == tier:
            return tier, ""
        if key.startswith(tier) and key[len(tier)] == "_":
            return tier, key[len(tier) + 1 :]
    return None, key


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value: Any = usage.get(name)
        if _is_count(value):
            return int(value)
    return None


def _is_count(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**53
