"""What a told provider and model are in the price book."""

from __future__ import annotations

import pytest

from tollway_processor.pricing.models import resolve

UNKNOWN = ""
TOLD = [
    ("openai", "gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
    ("openai", "ft:gpt-4o-mini-2024-07-18:acme::x1", "openai/ft:gpt-4o-mini"),
    ("openai", "GPT-4o", "openai/gpt-4o"),
    ("openai", "openai/gpt-4o", "openai/gpt-4o"),
    ("openrouter", "openai/gpt-4o", "openrouter/openai/gpt-4o"),
    ("", "openrouter/openai/gpt-4o", "openrouter/openai/gpt-4o"),
    # A way to choose the host is no model; a free one is, and never costs what the other does.
    ("openrouter", "google/gemini-2.5-flash:nitro", "openrouter/google/gemini-2.5-flash"),
    ("openrouter", "meta-llama/llama-3.3-70b-instruct:free",
     "openrouter/meta-llama/llama-3.3-70b-instruct:free"),
    ("openrouter", "anthropic/claude-sonnet-4:free", UNKNOWN),
    ("", "openai/gpt-4o", "openai/gpt-4o"),
    ("", "openai:gpt-4o", "openai/gpt-4o"),
    ("langchain", "gpt-4o", "openai/gpt-4o"),
    ("openai", "gpt-4-0613", "openai/gpt-4"),
    ("openai", "chatgpt-4o-latest", "openai/chatgpt-4o-latest"),
    # Azure answers with the model's name; its deployments' names say nothing.
    ("azure.ai.openai", "gpt-4o", "openai/gpt-4o"),
    ("azure.ai.openai", "gpt-4o-2024-08-06.ft-0123abc", "openai/ft:gpt-4o"),
    ("azure.ai.openai", "our-deployment", UNKNOWN),
    ("litellm", "azure/eu/gpt-4o", "openai/gpt-4o"),
    # Bedrock: regions, inference profiles, ARNs.
    ("aws.bedrock", "anthropic.claude-3-haiku-20240307-v1:0",
     "aws/regional.anthropic.claude-3-haiku-20240307-v1:0"),
    ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
     "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("aws.bedrock", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
     "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("aws.bedrock", "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
     "aws/amazon.nova-lite-v1:0"),
    ("aws.bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2", UNKNOWN),
    ("aws.bedrock", "eu.meta.llama3-2-3b-instruct-v1:0", "aws/meta.llama3-2-3b-instruct-v1:0"),
    # Vertex AI and the Gemini API.
    ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-pro", "google/gemini-2.5-pro"),
    ("gcp.vertex_ai", "projects/p/locations/us-central1/publishers/google/models/gemini-1.5-pro-002",
     "google/gemini-1.5-pro"),
    ("gcp.vertex_ai", "claude-3-5-sonnet@20240620", "google/claude-3-5-sonnet"),
    ("gcp.gemini", "models/gemini-2.5-flash", "google/gemini-2.5-flash"),
    ("mistral_ai", "mistral-large-latest", "mistral/mistral-large"),
    # OpenAI's client told of another's endpoint.
    ("openai", "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
    ("openai", "gemini-2.5-pro", "google/gemini-2.5-pro"),
    # One's own machines have no list price, whatever the model is called.
    ("vllm", "deepseek-chat", UNKNOWN),
    ("ollama", "mistral-large-latest", UNKNOWN),
    ("openai", "meta-llama/Llama-3.1-8B-Instruct-AWQ", UNKNOWN),
    ("openai", "gpt-99", UNKNOWN),
    ("", "", UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "model", "expected"), TOLD)
def test_told_name_resolves_to_a_model_of_the_book(provider, model, expected):
    assert resolve(provider, model).text == expected


def test_users_map_names_the_model_behind_a_deployment():
    found = resolve("azure.ai.openai", "Our-Deployment", {"our-deployment": "gpt-4o"})
    assert found.text == "openai/gpt-4o"
    assert "the map of models says gpt-4o" in found.steps


def test_users_map_may_name_the_provider_too():
    users = {
        "vllm/qwen-awq": "together/qwen/qwen2.5-7b-instruct-turbo",
        "b": "anthropic/claude-sonnet-4-5",
    }
    assert resolve("vllm", "b", users).text == "anthropic/claude-sonnet-4-5"
    assert resolve("openai", "qwen-awq", users).text == UNKNOWN


def test_tiers_of_the_owner_are_not_those_of_who_resells_it():
    assert resolve("azure.ai.openai", "gpt-4o").is_lent
    assert not resolve("openai", "gpt-4o").is_lent
