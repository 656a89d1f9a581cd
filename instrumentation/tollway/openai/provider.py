"""Own who serves a client: provider name, address and port, from its class and base URL."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary, ref

# Host suffix -> provider: names of the OTel GenAI enum where it has one.
_HOSTS: tuple[tuple[str, str], ...] = (
    ("openai.azure.com", "azure.ai.openai"),
    ("cognitiveservices.azure.com", "azure.ai.openai"),
    ("azure-api.net", "azure.ai.openai"),
    ("services.ai.azure.com", "azure.ai.inference"),
    ("models.ai.azure.com", "azure.ai.inference"),
    ("models.inference.ai.azure.com", "azure.ai.inference"),
    ("openai.com", "openai"),
    ("deepseek.com", "deepseek"),
    ("groq.com", "groq"),
    ("openrouter.ai", "openrouter"),
    ("together.xyz", "together_ai"),
    ("together.ai", "together_ai"),
    ("mistral.ai", "mistral_ai"),
    ("x.ai", "x_ai"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("anthropic.com", "anthropic"),
    ("perplexity.ai", "perplexity"),
    ("moonshot.ai", "moonshot_ai"),
    ("moonshot.cn", "moonshot_ai"),
    ("cohere.com", "cohere"),
    ("cohere.ai", "cohere"),
    ("fireworks.ai", "fireworks_ai"),
    ("cerebras.ai", "cerebras"),
    ("sambanova.ai", "sambanova"),
    ("nebius.com", "nebius"),
    ("nebius.ai", "nebius"),
    ("novita.ai", "novita"),
    ("deepinfra.com", "deepinfra"),
    ("hyperbolic.xyz", "hyperbolic"),
    ("integrate.api.nvidia.com", "nvidia"),
    ("huggingface.co", "huggingface"),
    ("endpoints.huggingface.cloud", "huggingface"),
    ("dashscope.aliyuncs.com", "alibaba"),
    ("dashscope-intl.aliyuncs.com", "alibaba"),
    ("bigmodel.cn", "zhipu_ai"),
    ("z.ai", "zhipu_ai"),
    ("databricks.com", "databricks"),
    ("azuredatabricks.net", "databricks"),
    ("cloud.ibm.com", "ibm.watsonx.ai"),
    ("githubcopilot.com", "github"),
    ("models.github.ai", "github"),
    ("ollama.com", "ollama"),
    ("ai-gateway.vercel.sh", "vercel"),
    ("gateway.ai.cloudflare.com", "cloudflare"),
    ("api.cloudflare.com", "cloudflare"),
    ("minimax.io", "minimax"),
    ("minimaxi.com", "minimax"),
    ("siliconflow.cn", "siliconflow"),
    ("siliconflow.com", "siliconflow"),
    ("baseten.co", "baseten"),
)
# Hosts with a region in them; a load balancer of AWS before a model of one's own is not Bedrock.
_REGIONAL_HOSTS = (
    (re.compile(r"bedrock(-[a-z-]+)?\..*(\.amazonaws\.com(\.cn)?|\.api\.aws)$"), "aws.bedrock"),
    (re.compile(r"(.*-)?aiplatform(\.[a-z]+\.rep)?\.googleapis\.com$"), "gcp.vertex_ai"),
)
_OLLAMA_PORT = 11434
_LM_STUDIO_PORT = 1234
_SELF_HOSTED = ("vllm", "ollama", "sglang", "lmstudio", "localai", "litellm")
# Known to refuse or ignore `stream_options`; most of them tell usage unasked.
_REFUSES_USAGE_OPTION = {
    "azure.ai.inference",
    "databricks",
    "mistral_ai",
    "nvidia",
    "openrouter",
    "perplexity",
}


@dataclass(frozen=True, slots=True)
class Server:
    """Who answers a client's calls."""

    provider: str
    address: str
    port: int
    takes_usage_option: bool
    url: str


_by_client: WeakKeyDictionary[Any, tuple[Any, Server]] = WeakKeyDictionary()
_last: tuple[Callable[[], Any], Any, Server] = (lambda: None, None, Server("", "", 0, False, ""))


def server_of(client: Any) -> Server:
    """Return the server of a client; cheap when asked again for the same one."""
    global _last  # noqa: PLW0603 - most apps have one client, and the dictionary takes 2 µs
    url = getattr(client, "_base_url", None)
    seen, seen_url, server = _last
    if seen_url is url and seen() is client:
        return server
    known = _by_client.get(client)
    if known is None or known[0] is not url:
        known = (url, _server("Azure" in type(client).__name__, str(url)))
        _by_client[client] = known
    _last = (ref(client), *known)
    return known[1]


@lru_cache(maxsize=256)
def _server(is_azure: bool, url: str) -> Server:
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        host, port = "", None
    provider = "azure.ai.openai" if is_azure else _provider(host, port)
    return Server(
        provider=provider,
        address=host,
        port=port or (80 if url.startswith("http:") else 443),
        takes_usage_option=provider not in _REFUSES_USAGE_OPTION,
        url=url,
    )


def _provider(host: str, port: int | None) -> str:
    """Return the provider of a host; "openai", whose API it speaks, when the host is unknown."""
    for suffix, provider in _HOSTS:
        if host == suffix or host.endswith("." + suffix):
            return provider
    for pattern, provider in _REGIONAL_HOSTS:
        if pattern.match(host):
            return provider
    if port == _OLLAMA_PORT:
        return "ollama"
    if port == _LM_STUDIO_PORT:
        return "lmstudio"
    for name in _SELF_HOSTED:
        if name in host:
            return name
    return "openai"
