"""Which model of the price book a told (provider, model) is: names, aliases and prefixes."""

from __future__ import annotations

import re
from typing import NamedTuple

from genai_prices import data
from genai_prices.types import Provider

# OpenTelemetry's and the instrumentations' provider names, as the price book spells them.
PROVIDERS = {
    "openai": "openai", "azure": "azure", "azure.ai.openai": "azure",
    "az.ai.openai": "azure", "azure.ai.inference": "azure", "azure_openai": "azure",
    "anthropic": "anthropic", "aws": "aws", "aws.bedrock": "aws", "bedrock": "aws",
    "amazon_bedrock": "aws", "gcp.gemini": "google", "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google", "google": "google", "gemini": "google", "vertex_ai": "google",
    "vertexai": "google", "google_genai": "google", "cohere": "cohere",
    "deepseek": "deepseek", "groq": "groq", "mistral_ai": "mistral", "mistral": "mistral",
    "mistralai": "mistral", "moonshot_ai": "moonshotai", "perplexity": "perplexity",
    "x_ai": "x-ai", "xai": "x-ai", "openrouter": "openrouter", "together": "together",
    "together_ai": "together", "fireworks": "fireworks", "cerebras": "cerebras",
}  # fmt: skip
_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$")
_FINE_TUNED = re.compile(r"^ft:([^:]+)")


class Resolved(NamedTuple):
    """A model of the price book; both empty when none fits."""

    provider: str
    model: str


UNKNOWN = Resolved("", "")


def resolve(told_provider: str, told_model: str) -> Resolved:
    """Return the price book's model for a told one (both lowercase).

    The told provider is asked first, then a provider named in the model ("openai/gpt-4o"), then
    the providers that claim the model's name. A fine-tuned or dated name falls back on its base.
    """
    for model in _spellings(told_model):
        for provider in _candidates(told_provider, told_model, model):
            found = provider.find_model(model, all_providers=data.providers)
            if found is not None:
                return _owner(provider, found.id)
    return UNKNOWN


def _spellings(model: str) -> list[str]:
    """The name as told, without its provider prefix, and the base of a fine-tuned or dated one."""
    names = [model]
    if "/" in model:
        names.append(model.rsplit("/", 1)[1])
    tuned = _FINE_TUNED.match(names[-1])
    if tuned:
        names += [f"ft:{tuned.group(1)}", tuned.group(1)]
    undated = _SNAPSHOT.sub("", names[-1])
    return names if undated == names[-1] else [*names, undated]


def _candidates(told_provider: str, told_model: str, model: str) -> list[Provider]:
    ids = [PROVIDERS.get(told_provider, told_provider)]
    if "/" in told_model:
        prefix = told_model.split("/", 1)[0]
        ids.append(PROVIDERS.get(prefix, prefix))
    found = [provider for provider in map(_by_id, ids) if provider is not None]
    if found:
        return found
    return [
        p for p in data.providers if p.model_match is not None and p.model_match.is_match(model)
    ]


def _by_id(provider_id: str) -> Provider | None:
    return next((p for p in data.providers if p.id == provider_id), None)


def _owner(provider: Provider, model_id: str) -> Resolved:
    """Azure and Google answer for others' models: the rates stand with the owner."""
    if any(model.id == model_id for model in provider.models):
        return Resolved(provider.id, model_id)
    for other_id in provider.fallback_model_providers or []:
        other = _by_id(other_id)
        if other is not None and any(model.id == model_id for model in other.models):
            return Resolved(other_id, model_id)
    return UNKNOWN
