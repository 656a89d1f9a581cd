"""Which model of the price book a told (provider, model) is, and by which steps it was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from genai_prices import data
from genai_prices.data_snapshot import find_provider_by_id
from genai_prices.types import Provider

from tollway_processor.pricing.spellings import (
    PROVIDERS,
    SELF_HOSTED,
    Spelling,
    provider_id,
    spellings,
)

# A client of OpenAI's library tells openai whatever it talks to. The models of these providers are
# served by nobody's own machines, so that their name alone says whose they are.
_CLOSED = frozenset({"anthropic", "google", "x-ai", "perplexity"})
_NO_PROVIDER = frozenset({"", "unknown", "none", "null", "custom", "other"})


@dataclass(frozen=True)
class Resolution:
    """A model of the price book (both empty when none fits), and the way there."""

    provider: str = ""
    model: str = ""
    is_lent: bool = False  # the told provider's list has it from the model's owner, less the tiers
    names: tuple[str, ...] = ()  # what a user's row may call it
    steps: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether the price book has the model."""
        return self.provider != ""

    @property
    def text(self) -> str:
        """provider/model, empty when there is none."""
        return f"{self.provider}/{self.model}" if self.is_known else ""


def resolve(
    told_provider: str, told_model: str, user_map: Mapping[str, str] | None = None
) -> Resolution:
    """Return what a told provider and model (any case) are in the price book.

    The user's map comes first: its keys are models or provider/model, its values models of the
    book, with or without a provider. Then the told provider is asked, then one that the name
    itself tells, then the providers that claim the name; a fine-tuned or dated name falls back on
    its base.
    """
    provider, model = told_provider.strip().lower(), told_model.strip().lower()
    steps = [f"told: provider {provider or '(none)'}, model {model or '(none)'}"]
    names = [model, f"{provider}/{model}"]
    mapped = _mapped(provider, model, user_map or {})
    if mapped is not None:
        steps.append(f"the map of models says {mapped}")
        model = mapped.lower()
        named, slash, rest = model.partition("/")
        if slash and _by_id(provider_id(named)) is not None:
            provider, model = named, rest
        elif provider in SELF_HOSTED:
            provider = ""
        names += [model, f"{provider}/{model}"]
    if provider in SELF_HOSTED:
        steps.append(f"{provider} serves on one's own machines: no list price is asked")
        return Resolution(names=tuple(names), steps=tuple(steps))
    for spelling in spellings(model):
        for candidate in _candidates(provider, spelling):
            found = _found(candidate, spelling, steps)
            if found is not None:
                names += [spelling.model, found.model, found.text]
                return Resolution(
                    found.provider, found.model, found.is_lent, tuple(names), tuple(steps)
                )
    steps.append("no model of the price book fits")
    return Resolution(names=tuple(names), steps=tuple(steps))


def _mapped(provider: str, model: str, user_map: Mapping[str, str]) -> str | None:
    for key, value in user_map.items():
        if key.lower() in (f"{provider}/{model}", model):
            return value
    return None


def _candidates(told_provider: str, spelling: Spelling) -> list[Provider]:
    """The providers to ask for a spelling, in order."""
    told = [provider_id(told_provider), spelling.provider]
    named = [_by_id(name) for name in told if name not in _NO_PROVIDER]
    found = [provider for provider in named if provider is not None]
    claims = [p for p in data.providers if p.model_match and p.model_match.is_match(spelling.model)]
    if not found:
        return claims
    if found[0].id == "openai":
        found += [provider for provider in claims if provider.id in _CLOSED]
    return found


def _found(provider: Provider, spelling: Spelling, steps: list[str]) -> Resolution | None:
    found = provider.find_model(spelling.model, all_providers=data.providers)
    model_id = found.id if found else _own_id(provider, spelling.model)
    if model_id is None:
        return None
    owner = _owner(provider, model_id)
    how = "" if spelling.step == "as told" else f" ({spelling.step})"
    steps.append(f"{provider.id} has {spelling.model}{how} as {model_id}")
    if owner != provider.id:
        steps.append(f"{provider.id} takes its rates from {owner}")
    return Resolution(owner, model_id, owner != provider.id)


@cache
def _by_id(told: str) -> Provider | None:
    return find_provider_by_id(data.providers, told)


@cache
def _ids(provider: str) -> dict[str, str]:
    found = _by_id(provider)
    return {model.id.lower(): model.id for model in found.models} if found else {}


def _own_id(provider: Provider, model: str) -> str | None:
    """A model told by the book's own id, which the book's patterns do not always take."""
    return _ids(provider.id).get(model)


def _owner(provider: Provider, model_id: str) -> str:
    """Azure and Google answer for others' models: the rates stand with the owner."""
    for owner in (provider.id, *(provider.fallback_model_providers or [])):
        if model_id.lower() in _ids(owner):
            return owner
    return provider.id


__all__ = ["PROVIDERS", "Resolution", "resolve"]
