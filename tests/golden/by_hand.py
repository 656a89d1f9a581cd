"""Write the fixtures of libraries that cannot be run here: spans put together from their sources.

`python tests/golden/by_hand.py`. Laminar's spans are told as conventions.toml knows them. Its release
0.8 can be captured too (base_url, http_port, force_http): it tells an embedding as an LLM call and no
node of a tool, so its capture waits for those rows of expected.toml.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

START_NS = 1_790_000_000 * 10**9
ASSOCIATION = "lmnr.association.properties"
SYSTEM = {"role": "system", "content": "You answer for the shop."}
QUESTION = {"role": "user", "content": "How long can I return it?"}
ORDER = {"role": "user", "content": "Where is order O-1001?"}
ANSWER = {"role": "assistant", "content": "You have 30 days to return it."}
FINAL = {"role": "assistant", "content": "Order O-1001 ships on Monday."}


def asks(number: int) -> dict[str, str]:
    """The answer that calls the tool."""
    call = "tool_calls.0"
    return {
        "role": "assistant", f"{call}.id": f"call_{number}", f"{call}.name": "get_order",
        f"{call}.arguments": '{"order_id": "O-1001"}',
    }  # fmt: skip


def gives(number: int) -> dict[str, str]:
    """The message with the tool's result."""
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": '{"status": "shipped"}'}


def span(number: int, name: str, parent: int, attributes: dict[str, object]) -> Span:
    """A span of 1 ms, `number` ms after the start."""
    start_ns = START_NS + number * 10**6
    return Span(
        trace_id=(0x60_1D << 112 | 1).to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=name, start_time_unix_nano=start_ns, end_time_unix_nano=start_ns + 10**6,
        attributes=[KeyValue(key=key, value=_value(value)) for key, value in attributes.items()],
    )  # fmt: skip


def _value(value: object) -> AnyValue:
    if isinstance(value, int):
        return AnyValue(int_value=value)
    return AnyValue(string_value=str(value))


def chat(number: int, asked: list[dict[str, str]], said: dict[str, str], node: str = "") -> Span:
    """A model call of Laminar's."""
    told: dict[str, object] = {
        "lmnr.span.type": "LLM", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-5-mini",
        "gen_ai.response.model": "gpt-5-mini-2025-08-07",
        "gen_ai.response.id": f"chatcmpl-golden-{number}",
        "gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 90,
        "llm.usage.total_tokens": 1290, "gen_ai.usage.cache_read_input_tokens": 1024,
        "gen_ai.usage.reasoning_tokens": 64,
        "gen_ai.completion.0.finish_reason": "tool_calls" if len(said) > 2 else "stop",
    }  # fmt: skip
    for index, message in enumerate(asked):
        told |= {f"gen_ai.prompt.{index}.{key}": value for key, value in message.items()}
    told |= {f"gen_ai.completion.0.{key}": value for key, value in said.items()}
    if node:
        told[f"{ASSOCIATION}.metadata.langgraph_node"] = json.dumps(node)
    return span(number, "openai.chat", 100, told)


def laminar() -> list[Span]:
    """The golden conversation as Laminar tells it."""
    root = {
        "lmnr.span.type": "DEFAULT", f"{ASSOCIATION}.session_id": "session-42",
        f"{ASSOCIATION}.user_id": "user-7", f"{ASSOCIATION}.metadata.route": '"refunds"',
    }  # fmt: skip
    embedding: dict[str, object] = {
        "lmnr.span.type": "LLM", "gen_ai.operation.name": "embeddings", "gen_ai.system": "openai",
        "gen_ai.request.model": "text-embedding-3-small",
        "gen_ai.response.model": "text-embedding-3-small", "gen_ai.usage.input_tokens": 6,
        "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "return policy",
    }  # fmt: skip
    tool: dict[str, object] = {
        "lmnr.span.type": "TOOL", "lmnr.span.input": '{"order_id": "O-1001"}',
        "lmnr.span.output": '{"content": "{\\"status\\": \\"shipped\\"}", "tool_call_id": "call_5"}',
        f"{ASSOCIATION}.metadata.langgraph_node": '"act"',
    }  # fmt: skip
    return [
        span(100, "POST /refunds", 0, dict(root)),
        chat(1, [SYSTEM, QUESTION], ANSWER),
        chat(2, [SYSTEM, QUESTION], ANSWER),
        chat(3, [ORDER], asks(3)),
        chat(4, [ORDER, asks(3), gives(3)], FINAL),
        # Between the calls by its start, as the conversation has it.
        *[_moved(span(50, "openai.embeddings", 100, embedding), 4)],
        chat(5, [ORDER], asks(5), "think"),
        _moved(span(60, "get_order", 100, tool), 5),
        chat(6, [ORDER, asks(5), gives(5)], FINAL, "think"),
    ]


def _moved(told: Span, number: int) -> Span:
    told.start_time_unix_nano = START_NS + number * 10**6 + 10
    told.end_time_unix_nano = told.start_time_unix_nano + 10
    return told


def main() -> None:
    """Write each fixture, named …-by-hand."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.append(KeyValue(key="service.name", value=_value("shop")))
    group.scope_spans.add().spans.extend(laminar())
    path = Path(__file__).parent / "laminar-by-hand.traces.pb.gz"
    path.write_bytes(gzip.compress(request.SerializeToString(), mtime=0))


if __name__ == "__main__":
    main()
