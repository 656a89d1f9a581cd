"""How one model may be written: paths, ARNs, regions, provider prefixes, snapshots, fine-tunes.

Pure text; which of the spellings the price book knows is for models.py to find.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# OpenTelemetry's and the instrumentations' provider names, as the price book spells them.
PROVIDERS = {
    "openai": "openai", "azure": "azure", "azure.ai.openai": "azure",
    "az.ai.openai": "azure", "azure.ai.inference": "azure", "azure_openai": "azure",
    "azure_ai": "azure", "az.ai.inference": "azure", "azure-openai": "azure",
    "anthropic": "anthropic", "aws": "aws", "aws.bedrock": "aws", "bedrock": "aws",
    "amazon_bedrock": "aws", "amazon-bedrock": "aws", "bedrock_converse": "aws",
    "gcp.gemini": "google", "gcp.vertex_ai": "google", "gcp.vertex.agent": "google",
    "gcp.gen_ai": "google", "google": "google", "gemini": "google", "vertex_ai": "google",
    "vertexai": "google", "google_genai": "google", "google-genai": "google",
    "google_vertexai": "google", "google-gla": "google", "google-vertex": "google",
    "cohere": "cohere", "deepseek": "deepseek", "groq": "groq", "mistral_ai": "mistral",
    "mistral": "mistral", "mistralai": "mistral", "moonshot_ai": "moonshotai",
    "moonshot": "moonshotai", "moonshotai": "moonshotai", "perplexity": "perplexity",
    "x_ai": "x-ai", "xai": "x-ai", "x-ai": "x-ai", "openrouter": "openrouter",
    "together": "together", "together_ai": "together", "togetherai": "together",
    "fireworks": "fireworks", "fireworks_ai": "fireworks", "cerebras": "cerebras",
    "github_copilot": "github-copilot", "voyage": "voyageai", "zai": "zai",
}  # fmt: skip
# Where one's own machines serve the model: no list price says what such a call costs.
SELF_HOSTED = frozenset({
    "vllm", "hosted_vllm", "ollama", "ollama_chat", "llama.cpp", "llamacpp", "llama_cpp", "sglang",
    "tgi", "lmstudio", "lm_studio", "localai", "local", "self-hosted", "self_hosted", "triton",
    "llamafile", "mlx", "xinference", "text-generation-inference",
})  # fmt: skip

_ARN = re.compile(r"^arn:aws[\w-]*:(?:bedrock|sagemaker):[\w-]*:\d*:(?P<kind>[\w-]+)/(?P<name>.+)$")
_VERTEX = re.compile(r"^(?:projects/.*/)?publishers/(?P<publisher>[\w-]+)/models/(?P<name>.+)$")
_REGION_PATH = re.compile(r"^(?:[a-z]{2}(?:-[a-z]+)+-\d|us|eu|apac|global|us-gov)/")
_BEDROCK_REGION = re.compile(
    r"^(?:us-gov|us|eu|apac|ap|jp|au|ca|sa|me|il|global|regional)\.(?=[a-z0-9-]+\.)"
)
_BEDROCK_VERSION = re.compile(r"(?:-v\d+)?(?::\d+(?::\w+)?)$|-v\d+$")
_FINE_TUNED = re.compile(r"^ft:([^:]+)")
_AZURE_TUNED = re.compile(r"^(.+?)\.ft-[\w-]+$")
_SNAPSHOT = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|\d{3}|latest|default)$")
# OpenRouter's ways to choose among a model's hosts; :free and :thinking are models of their own.
_ROUTED = re.compile(r":(nitro|floor|exacto)$")
_PREVIEW = re.compile(r"-(?:preview|exp)(?:-\d{2}-\d{2,4})?$")


class Spelling(NamedTuple):
    """A way to write the model, the provider it names (empty if none), and how it was reached."""

    model: str
    provider: str
    step: str


def provider_id(told: str) -> str:
    """Return the price book's id of a provider as told (lowercase)."""
    return PROVIDERS.get(told, told)


def spellings(told_model: str) -> Iterator[Spelling]:
    """Yield the ways to write a model told in lowercase, the most literal first, none twice."""
    seen: set[tuple[str, str]] = set()
    for spelling in _all(Spelling(told_model, "", "as told")):
        if spelling.model and (spelling.model, spelling.provider) not in seen:
            seen.add((spelling.model, spelling.provider))
            yield spelling


def _all(told: Spelling) -> Iterator[Spelling]:
    unpacked = list(_unpacked(told))
    for spelling in unpacked:
        yield spelling
    for spelling in unpacked:
        yield from _bases(spelling)


def _unpacked(told: Spelling) -> Iterator[Spelling]:
    """The name out of its wrapping: an ARN, a path, a provider's or a region's prefix."""
    yield told
    found = _ARN.match(told.model)
    if found:
        name = Spelling(found["name"], "aws", f"the {found['kind']} of an ARN")
        yield from _regional(name)
        return
    found = _VERTEX.match(told.model)
    if found:
        publisher = PROVIDERS.get(found["publisher"], "google")
        yield from _at_date(Spelling(found["name"], "google", "the model of a Vertex AI path"))
        if publisher != "google":
            yield from _at_date(Spelling(found["name"], publisher, "as its publisher's model"))
        return
    if told.model.startswith("models/"):
        yield Spelling(told.model.removeprefix("models/"), told.provider, "without models/")
        return
    yield from _at_date(told)
    yield from _regional(told)
    yield from _without_prefix(told)


def _without_prefix(told: Spelling) -> Iterator[Spelling]:
    """openai/gpt-4o, openai:gpt-4o, openrouter/openai/gpt-4o, bedrock/us-east-1/anthropic.…"""
    prefix, mark, rest = _split(told.model)
    if not mark:
        return
    if prefix in PROVIDERS:
        named = Spelling(rest, PROVIDERS[prefix], f"without the prefix {prefix}{mark}")
        yield named
        yield from _at_date(named)
        regionless = _REGION_PATH.sub("", rest)
        if regionless != rest:
            named = Spelling(regionless, named.provider, f"without the region in {rest}")
            yield named
        yield from _regional(named)
        yield from _without_prefix(named)
    elif mark == "/" and prefix not in SELF_HOSTED:
        yield Spelling(rest.rsplit("/", 1)[-1], told.provider, f"without {prefix}/")


def _split(model: str) -> tuple[str, str, str]:
    slash = model.partition("/")
    colon = model.partition(":")
    return colon if colon[0] in PROVIDERS and len(colon[0]) < len(slash[0]) else slash


def _regional(told: Spelling) -> Iterator[Spelling]:
    """us.anthropic.claude-…-v1:0: with its region, without, and as the maker's own model."""
    if told.step != "as told":
        yield told
    bare = _BEDROCK_REGION.sub("", told.model)
    provider = told.provider or ("aws" if bare != told.model else "")
    if bare != told.model:
        yield Spelling(bare, provider, "without the region")
    if bare.startswith("anthropic."):
        name = _BEDROCK_VERSION.sub("", bare.removeprefix("anthropic."))
        yield Spelling(name, provider or "aws", "without the maker and the version")
        yield Spelling(name, "anthropic", "as Anthropic's model")


def _at_date(told: Spelling) -> Iterator[Spelling]:
    """claude-sonnet-4@20250514, the way Vertex AI writes a snapshot."""
    yield told
    name, at, day = told.model.partition("@")
    if at and name:
        yield Spelling(f"{name}-{day}", told.provider, "@ as -")
        yield Spelling(name, told.provider, f"without @{day}")


def _bases(spelling: Spelling) -> Iterator[Spelling]:
    """What a fine-tuned, dated or latest model is a form of."""
    model = spelling.model
    unrouted = _ROUTED.sub("", model)
    if unrouted != model:
        yield spelling._replace(model=unrouted, step=f"without {model[len(unrouted) :]}")
    tuned = _FINE_TUNED.match(model) or _AZURE_TUNED.match(model)
    if tuned:
        base = tuned[1]
        for name in (base, _SNAPSHOT.sub("", base)):
            yield spelling._replace(model=f"ft:{name}", step="as fine-tuned from the base")
        yield spelling._replace(model=base, step="as the base that was fine-tuned")
        model = base
    undated = _SNAPSHOT.sub("", model)
    if undated != model:
        yield spelling._replace(model=undated, step=f"without {model[len(undated) :]}")
    final = _PREVIEW.sub("", undated)
    if final not in (undated, model):
        yield spelling._replace(model=final, step=f"without {undated[len(final) :]}")
