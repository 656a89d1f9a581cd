"""The Vercel AI SDK: a run, its model call with an answer told in two attributes, its tool."""

from __future__ import annotations

import json

import pytest

CALL = {
    "operation.name": "ai.streamText.doStream support",
    "ai.operationId": "ai.streamText.doStream",
    "ai.model.provider": "openai.responses",
    "ai.model.id": "gpt-4o",
    "ai.telemetry.functionId": "support",
    "ai.telemetry.metadata.userId": "u-1",
    "ai.telemetry.metadata.sessionId": "s-1",
    "ai.telemetry.metadata.route": "refunds",
    "ai.prompt.messages": json.dumps([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {"role": "assistant", "content": [
            {"type": "tool-call", "toolCallId": "c1", "toolName": "weather", "input": {"city": "Bern"}}]},
        {"role": "tool", "content": [
            {"type": "tool-result", "toolCallId": "c1", "toolName": "weather",
             "output": {"type": "json", "value": {"t": 3}}}]},
    ]),
    "ai.prompt.tools": ['{"type":"function","name":"weather","inputSchema":{}}'],
    "ai.response.text": 'So "cold".',
    "ai.response.toolCalls": json.dumps([
        {"toolCallId": "c2", "toolName": "forecast", "input": {"days": 2}}]),
    "ai.response.finishReason": "tool-calls",
    "ai.response.msToFirstChunk": 123.5,
    "ai.usage.inputTokens": 1000,
    "ai.usage.outputTokens": 50,
    "ai.usage.totalTokens": 1050,
    "gen_ai.system": "openai.responses",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "resp_vercel_1",
    "gen_ai.response.finish_reasons": ["tool-calls"],
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 50,
}  # fmt: skip
RUN = {
    "operation.name": "ai.streamText support",
    "ai.operationId": "ai.streamText",
    "ai.model.provider": "openai.responses",
    "ai.model.id": "gpt-4o",
    "ai.prompt": json.dumps({"system": "Be brief.", "prompt": "Weather?"}),
    "ai.response.text": 'So "cold".',
    "ai.usage.inputTokens": 1000,
    "ai.usage.outputTokens": 50,
}
TOOL = {
    "operation.name": "ai.toolCall support",
    "ai.operationId": "ai.toolCall",
    "ai.toolCall.name": "weather",
    "ai.toolCall.id": "c1",
    "ai.toolCall.args": '{"city":"Bern"}',
    "ai.toolCall.result": '{"t":3}',
}


@pytest.fixture
def told(otlp):
    """The spans by operation beside their messages; sent together."""
    run = otlp.span(name="ai.streamText", **RUN)
    for name, attributes in (("ai.streamText.doStream", CALL), ("ai.toolCall", TOOL)):
        inner = otlp.span(name=name, trace_id=run.trace_id, parent=run.span_id, **attributes)
        otlp.send(inner)
    otlp.send(run)
    messages = {row["span_id"]: row for row in otlp.stored("messages", run.trace_id)}
    rows = otlp.stored("spans", run.trace_id)
    return {row["operation"]: row | messages[row["span_id"]] for row in rows}


def test_spans_of_the_vercel_sdk_are_a_run_a_call_and_a_tool(told):
    assert set(told) == {"invoke_agent", "chat", "execute_tool"}
    call, run = told["chat"], told["invoke_agent"]
    assert (call["provider"], call["response_model"]) == ("openai", "gpt-4o-2024-08-06")
    assert (call["finish_reasons"], call["tool_names"]) == (["tool_calls"], ["forecast"])
    assert int(call["ttft_ns"]) == 123_500_000
    assert (call["route"], call["session_id"], call["user_id"]) == ("refunds", "s-1", "u-1")
    assert (call["cost_status"], run["cost_status"]) == ("computed", "")
    tool = told["execute_tool"]
    assert (tool["tool_name"], tool["tool_call_id"]) == ("weather", "c1")
    assert (tool["tool_arguments"], tool["tool_result"]) == ('{"city":"Bern"}', '{"t":3}')


def test_its_messages_take_the_one_form(told):
    call = told["chat"]
    assert json.loads(call["input_messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "Weather?"}]},
        {"role": "assistant", "parts": [
            {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Bern"}}]},
        {"role": "tool", "parts": [
            {"type": "tool_call_response", "id": "c1",
             "response": {"type": "json", "value": {"t": 3}}}]},
    ]  # fmt: skip
    assert json.loads(call["output_messages"]) == [
        {"role": "assistant", "parts": [
            {"type": "text", "content": 'So "cold".'},
            {"type": "tool_call", "id": "c2", "name": "forecast", "arguments": {"days": 2}}]},
    ]  # fmt: skip
    assert json.loads(call["tool_definitions"])[0]["name"] == "weather"
