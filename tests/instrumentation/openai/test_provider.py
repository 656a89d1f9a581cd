"""Who serves a call: from the class of the client and its base URL."""

from __future__ import annotations

from typing import Any

import openai
import pytest


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("https://mine.openai.azure.com/openai/v1/", "azure.ai.openai"),
        ("https://mine.services.ai.azure.com/models", "azure.ai.inference"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.together.xyz/v1", "together_ai"),
        ("https://api.mistral.ai/v1", "mistral_ai"),
        ("https://api.x.ai/v1", "x_ai"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "gcp.gemini"),
        ("https://aiplatform.googleapis.com/v1/projects/p", "gcp.vertex_ai"),
        ("https://europe-west4-aiplatform.googleapis.com/v1/projects/p", "gcp.vertex_ai"),
        ("https://aiplatform.eu.rep.googleapis.com/v1/projects/p", "gcp.vertex_ai"),
        ("https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1", "aws.bedrock"),
        ("https://bedrock-mantle.eu-central-1.api.aws/v1", "aws.bedrock"),
        ("https://students-1234.us-west-2.elb.amazonaws.com/v1", "openai"),
        ("http://localhost:11434/v1", "ollama"),
        ("http://vllm.internal:8000/v1", "vllm"),
        ("https://max.ai/v1", "openai"),
        ("https://llm.example.com/v1", "openai"),
    ],
)
def test_provider_of_a_base_url(
    spans: Any, wire: Any, samples: Any, ask: Any, base_url: str, provider: str
) -> None:
    ask(wire.says(samples.chat()).client(base_url=base_url))

    assert spans.one().attributes["gen_ai.provider.name"] == provider


def test_address_and_port(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    ask(wire.says(samples.chat()).client(base_url="http://Host.example:8080/v1"))

    assert spans.one().attributes["server.address"] == "host.example"
    assert spans.one().attributes["server.port"] == 8080


def test_azure_client(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    client = wire.says(samples.chat()).client(
        kind=openai.AzureOpenAI,
        azure_endpoint="https://proxy.example",
        api_version="2024-10-21",
    )
    ask(client, model="my-deployment")

    assert "deployments/my-deployment" in str(wire.requests[0].url)
    span = spans.one()
    assert span.name == "chat my-deployment"
    assert span.attributes["gen_ai.provider.name"] == "azure.ai.openai"
    assert span.attributes["gen_ai.response.model"] == "gpt-4o-mini-2024-07-18"


def test_changed_base_url_is_seen(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    client = wire.says(samples.chat()).client()
    ask(client)
    client.base_url = "https://api.groq.com/openai/v1"
    ask(client)
    ask(client.with_options(base_url="https://api.deepseek.com"))

    names = [span.attributes["gen_ai.provider.name"] for span in spans.all()]
    assert names == ["openai", "groq", "deepseek"]


@pytest.mark.parametrize(
    ("mark", "provider"),
    [({"system_fingerprint": "fp_ollama"}, "ollama"), ({"kv_transfer_params": None}, "vllm")],
)
def test_self_hosted_servers_show_in_their_answers(
    spans: Any, wire: Any, samples: Any, ask: Any, mark: Any, provider: str
) -> None:
    ask(wire.says(samples.chat(**mark)).client(base_url="http://10.0.0.7:8000/v1"))

    assert spans.one().attributes["gen_ai.provider.name"] == provider
