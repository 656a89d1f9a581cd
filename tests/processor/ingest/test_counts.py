"""Counts as real libraries tell them: caches within or beside the input, thoughts within or beside
the output, under names of their own; every span comes out inclusive and is priced so."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from genai_prices import Usage, calc_price
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.processor.conftest import Otlp

SONNET = "claude-sonnet-4-5"
ON_BEDROCK = "anthropic.claude-3-5-sonnet-20241022-v2:0"
USAGE = "gen_ai.usage"
DETAILS = f"{USAGE}.details"
LANGFUSE = "langfuse.observation"


class Told(NamedTuple):
    """A span of a library's scope, and the counts that it means."""

    scope: str
    attributes: dict[str, object]
    provider: str
    model: str
    means: dict[str, int]
    name: str = "chat"


def named(provider: str, model: str, **more: object) -> dict[str, object]:
    """OpenTelemetry's names; more ones under gen_ai.usage, __ for a dot."""
    return {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
    } | {f"{USAGE}.{key.replace('__', '.')}": value for key, value in more.items()}  # fmt: skip


def langfuse(model: str, **usage: int) -> dict[str, object]:
    return {
        f"{LANGFUSE}.type": "generation", f"{LANGFUSE}.model.name": model,
        f"{LANGFUSE}.usage_details": json.dumps(usage),
    }  # fmt: skip


def vercel(provider: str, model: str, operation: str = "generateText.doGenerate", **usage: object):
    """A call of the Vercel AI SDK; its usage by its names, __ for a dot."""
    told: dict[str, object] = {
        "operation.name": f"ai.{operation} support", "ai.operationId": f"ai.{operation}",
        "ai.model.provider": provider, "ai.model.id": model, "gen_ai.system": provider,
        "gen_ai.request.model": model,
    }  # fmt: skip
    told |= {f"ai.usage.{key.replace('__', '.')}": value for key, value in usage.items()}
    return told


TOLD = {
    "botocore tells Bedrock's input beside its cache": Told(
        "opentelemetry.instrumentation.botocore.bedrock-runtime",
        named("aws.bedrock", ON_BEDROCK, input_tokens=100, output_tokens=50,
              cache_read__input_tokens=80, cache_creation__input_tokens=10),
        "aws", ON_BEDROCK,
        {"input_tokens": 190, "output_tokens": 50, "cache_read_tokens": 80, "cache_write_tokens": 10},
    ),
    "OpenLLMetry does on Bedrock": Told(
        "opentelemetry.instrumentation.bedrock",
        named("aws.bedrock", ON_BEDROCK, input_tokens=100, output_tokens=50, total_tokens=150,
              cache_read__input_tokens=80, cache_creation__input_tokens=10),
        "aws", ON_BEDROCK,
        {"input_tokens": 190, "output_tokens": 50, "cache_read_tokens": 80, "cache_write_tokens": 10},
    ),
    "OpenLLMetry does not with Anthropic": Told(
        "opentelemetry.instrumentation.anthropic",
        named("anthropic", SONNET, input_tokens=190, output_tokens=50, total_tokens=240,
              cache_read__input_tokens=80, cache_creation__input_tokens=10),
        "anthropic", SONNET,
        {"input_tokens": 190, "output_tokens": 50, "cache_read_tokens": 80, "cache_write_tokens": 10},
    ),
    "OpenLIT does": Told(
        "openlit.instrumentation.anthropic",
        named("anthropic", SONNET, input_tokens=100, output_tokens=50, cache_read__input_tokens=80),
        "anthropic", SONNET,
        {"input_tokens": 180, "output_tokens": 50, "cache_read_tokens": 80},
    ),
    "a total shows that input is told beside the cache": Told(
        "openinference.instrumentation.langchain",
        {"openinference.span.kind": "LLM", "llm.model_name": SONNET, "llm.provider": "anthropic",
         "llm.token_count.prompt": 500, "llm.token_count.completion": 20,
         "llm.token_count.total": 920, "llm.token_count.prompt_details.cache_read": 400},
        "anthropic", SONNET,
        {"input_tokens": 900, "output_tokens": 20, "cache_read_tokens": 400},
    ),
    "a cache larger than the input is beside it": Told(
        "an app's own", named("anthropic", SONNET, input_tokens=10, output_tokens=20,
                              cache_read__input_tokens=400),
        "anthropic", SONNET,
        {"input_tokens": 410, "output_tokens": 20, "cache_read_tokens": 400},
    ),
    "OpenLIT tells Gemini's output beside its thoughts": Told(
        "openlit.instrumentation.google_ai_studio",
        named("gcp.gemini", "gemini-2.5-flash", input_tokens=1000, output_tokens=500,
              reasoning_tokens=400),
        "google", "gemini-2.5-flash",
        {"input_tokens": 1000, "output_tokens": 900, "reasoning_tokens": 400},
    ),
    "a total shows that output is told beside the thoughts": Told(
        "an app's own",
        named("gcp.vertex_ai", "gemini-2.5-flash", input_tokens=1000, output_tokens=50,
              reasoning_tokens=40, total_tokens=1090),
        "google", "gemini-2.5-flash",
        {"input_tokens": 1000, "output_tokens": 90, "reasoning_tokens": 40},
    ),
    "more thoughts than output are beside it": Told(
        "an app's own",
        named("gcp.gemini", "gemini-2.5-flash", input_tokens=1000, output_tokens=50,
              reasoning__output_tokens=400),
        "google", "gemini-2.5-flash",
        {"input_tokens": 1000, "output_tokens": 450, "reasoning_tokens": 400},
    ),
    "MLflow tells what is kept for an hour": Told(
        "mlflow",
        {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.model": f'"{SONNET}"',
         "mlflow.llm.provider": '"anthropic"',
         "mlflow.chat.tokenUsage": json.dumps({
             "input_tokens": 190, "output_tokens": 50, "total_tokens": 240,
             "cache_read_input_tokens": 80, "cache_creation_input_tokens": 10,
             "cache_creation_input_tokens_above_1hr": 6})},
        "anthropic", SONNET,
        {"input_tokens": 190, "output_tokens": 50, "cache_read_tokens": 80,
         "cache_write_tokens": 10, "cache_write_1h_tokens": 6},
    ),
    "Langfuse tells what is written by how long it is kept": Told(
        "langfuse-sdk",
        langfuse(SONNET, input=100, output=50, input_cache_read=80, input_cache_creation=0,
                 input_ephemeral_5m_input_tokens=6, input_ephemeral_1h_input_tokens=4),
        "anthropic", SONNET,
        {"input_tokens": 190, "output_tokens": 50, "cache_read_tokens": 80,
         "cache_write_tokens": 10, "cache_write_1h_tokens": 4},
    ),
    "Langfuse passes Anthropic's own usage on": Told(
        "langfuse-sdk",
        langfuse(SONNET, input_tokens=100, output_tokens=50, cache_read_input_tokens=80,
                 cache_creation_input_tokens=10),
        "anthropic", SONNET,
        {"input_tokens": 190, "output_tokens": 50, "cache_read_tokens": 80, "cache_write_tokens": 10},
    ),
    "Pydantic AI's details by its own names": Told(
        "pydantic-ai",
        named("openai", "gpt-4o", input_tokens=1000, output_tokens=50,
              details__cache_read_tokens=900, details__reasoning_tokens=10),
        "openai", "gpt-4o",
        {"input_tokens": 1000, "output_tokens": 50, "cache_read_tokens": 900, "reasoning_tokens": 10},
    ),
    "Pydantic AI's details by Anthropic's names": Told(
        "pydantic-ai",
        named("anthropic", SONNET, input_tokens=190, output_tokens=50,
              details__cache_read_input_tokens=80, details__cache_creation_input_tokens=10,
              details__input_tokens=100),
        "anthropic", SONNET,
        {"input_tokens": 190, "output_tokens": 50, "cache_read_tokens": 80, "cache_write_tokens": 10},
    ),
    "the Vercel AI SDK, version 4": Told(
        "ai", vercel("openai.chat", "gpt-4o", promptTokens=1000, completionTokens=50),
        "openai", "gpt-4o", {"input_tokens": 1000, "output_tokens": 50},
    ),
    "version 5, where Anthropic's input is beside its cache": Told(
        "ai",
        vercel("anthropic.messages", SONNET, inputTokens=10, outputTokens=50, totalTokens=60,
               cachedInputTokens=900),
        "anthropic", SONNET,
        {"input_tokens": 910, "output_tokens": 50, "cache_read_tokens": 900},
    ),
    "version 6, where it is within": Told(
        "ai",
        vercel("anthropic.messages", SONNET, inputTokens=1010, outputTokens=50,
               inputTokenDetails__cacheReadTokens=900, inputTokenDetails__cacheWriteTokens=100,
               outputTokenDetails__reasoningTokens=5),
        "anthropic", SONNET,
        {"input_tokens": 1010, "output_tokens": 50, "cache_read_tokens": 900,
         "cache_write_tokens": 100, "reasoning_tokens": 5},
    ),
    "its embeddings": Told(
        "ai", vercel("openai.embedding", "text-embedding-3-small", "embed.doEmbed", tokens=77),
        "openai", "text-embedding-3-small", {"input_tokens": 77},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def rows(store) -> dict[str, dict[str, Any]]:
    """The row of each span of TOLD, sent in one request."""
    otlp, message, ids = Otlp(store), ExportTraceServiceRequest(), {}
    for what, told in TOLD.items():
        span = otlp.span(name=told.name, **told.attributes)
        message.resource_spans.add().scope_spans.add().spans.append(span)
        message.resource_spans[-1].scope_spans[0].scope.name = told.scope
        ids[span.trace_id.hex()] = what
    assert otlp.commit(message.SerializeToString()) == []
    found = store.rows(
        "SELECT * FROM spans FINAL WHERE trace_id IN ({ids:Array(String)})", {"ids": list(ids)}
    )
    return {ids[row["trace_id"]]: row for row in found}


@pytest.mark.parametrize("what", TOLD)
def test_counts_are_inclusive(rows, what):
    assert {name: rows[what][name] for name in TOLD[what].means} == TOLD[what].means


@pytest.mark.parametrize("what", TOLD)
def test_cost_is_that_of_the_meant_counts(rows, what):
    told, row = TOLD[what], rows[what]
    billed = {name: n for name, n in told.means.items() if name != "reasoning_tokens"}
    price = calc_price(Usage(**billed), told.model, provider_id=told.provider)
    assert Decimal(row["cost_usd"]) == price.total_price
    assert row["cost_status"] == "computed"
