"""Own the GenAI provider name of a LangChain chat model, from what LangChain calls it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# LangChain's `ls_provider` and `_llm_type` -> gen_ai.provider.name (well-known values).
_NAMES = {
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure-openai-chat": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "amazon_bedrock": "aws.bedrock",
    "amazon_bedrock_converse_chat": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "google_anthropic_vertex": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "mistralai-chat": "mistral_ai",
    "xai": "x_ai",
    "ibm": "ibm.watsonx.ai",
    "watsonx": "ibm.watsonx.ai",
    "moonshot": "moonshot_ai",
    "openai-chat": "openai",
    "anthropic-chat": "anthropic",
    "groq-chat": "groq",
    "cohere-chat": "cohere",
    "chat-deepseek": "deepseek",
    "chat-ollama": "ollama",
}


def provider_name(metadata: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """Return the provider's name; LangChain's own word for it where the conventions have none."""
    told = metadata.get("ls_provider")
    if not isinstance(told, str) or not told:
        told = params.get("_type")
    if not isinstance(told, str) or not told:
        return "unknown"
    return _NAMES.get(told, told)
