"""Log events that hold a call's messages: their nested values as text, for the engine to store.

The engine's reader knows no value nested at any depth. Only requests with such events come here;
they are rare, and no span is touched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from tollway_processor.ingest import any_values, conventions
from tollway_processor.ingest.statement import WHOLE_EVENT

INPUT, OUTPUT = "tollway.event.input", "tollway.event.output"
INSTRUCTIONS, TOOLS = "tollway.event.system_instructions", "tollway.event.tool_definitions"
_WHOLE = WHOLE_EVENT  # one event with all of a call's messages


def with_messages(body: bytes) -> tuple[bytes, bool]:
    """Return a logs request whose message events tell their messages as text, and whether any does.

    Each such record gets attributes INPUT and OUTPUT (messages in OpenTelemetry's form, JSON
    objects with commas between), INSTRUCTIONS and TOOLS in place of its own.
    """
    names = (_WHOLE, *conventions.table()["message_events"])
    if not any(name.encode() in body for name in names):
        return body, False
    request = ExportLogsServiceRequest.FromString(body)
    records = (r for g in request.resource_logs for s in g.scope_logs for r in s.log_records)
    found = [record for record in records if _tell(record)]
    return (request.SerializeToString(), True) if found else (body, False)


def _tell(record: LogRecord) -> bool:
    told = any_values.mapping(record.attributes)
    name = record.event_name or str(told.get("event.name", ""))
    role = conventions.table()["message_events"].get(name)
    if role is None and name != _WHOLE:
        return False
    content = any_values.plain(record.body)
    if not isinstance(content, dict):
        content = {} if content is None else {"content": content}
    if name == _WHOLE:
        values = _whole({**told, **content})
    else:
        # Some write the fields as attributes, or all of them as JSON in one.
        inner = told.get("gen_ai.event.content")
        fields = {**told, **(_parsed(inner) if isinstance(inner, str) else {}), **content}
        message = json.dumps(_message(fields, role))
        values = {OUTPUT if role == "output" else INPUT: message}
    record.event_name = name
    del record.attributes[:]
    record.attributes.extend(
        KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in values.items()
    )
    record.ClearField("body")
    return True


def _whole(told: Mapping[str, Any]) -> dict[str, str]:
    def items(name: str) -> str:
        messages = told.get(name)
        messages = _parsed(messages) if isinstance(messages, str) else messages
        if not isinstance(messages, list):
            return ""
        return ", ".join(json.dumps(_with_arguments(message)) for message in messages)

    def text(name: str) -> str:
        value = told.get(name)
        return value if isinstance(value, str) else json.dumps(value) if value else ""

    return {
        INPUT: items("gen_ai.input.messages"),
        OUTPUT: items("gen_ai.output.messages"),
        INSTRUCTIONS: text("gen_ai.system_instructions"),
        TOOLS: text("gen_ai.tool.definitions"),
    }


def _with_arguments(message: Any) -> Any:
    """A message whose tool calls have their arguments as values, not as text."""
    for part in (message.get("parts") or ()) if isinstance(message, dict) else ():
        if isinstance(part, dict) and isinstance(part.get("arguments"), str):
            part["arguments"] = _parsed(part["arguments"]) or part["arguments"]
    return message


def _message(fields: Mapping[str, Any], role: str) -> dict[str, Any]:
    """A message event as OpenTelemetry's message: role and parts."""
    inner = fields.get("message")
    body: Mapping[str, Any] = inner if isinstance(inner, dict) else fields
    content, calls = body.get("content"), body.get("tool_calls")
    calls = _parsed(calls) if isinstance(calls, str) else calls
    name = str(body.get("role") or ("assistant" if role == "output" else role))
    parts: list[dict[str, Any]]
    if name == "tool":
        call_id = body.get("id") or body.get("tool_call_id") or ""
        parts = [{"type": "tool_call_response", "id": call_id, "response": content}]
    else:
        parts = [{"type": "text", "content": content}] if content else []
        parts += [_call(call) for call in calls or () if isinstance(call, dict)]
    message: dict[str, Any] = {"role": name, "parts": parts}
    reason = fields.get("finish_reason")
    return {**message, "finish_reason": reason} if reason else message


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    told: Mapping[str, Any] = function if isinstance(function, dict) else call
    arguments = told.get("arguments")
    if isinstance(arguments, str):
        arguments = _parsed(arguments) or arguments
    return {
        "type": "tool_call", "id": call.get("id"), "name": told.get("name"), "arguments": arguments,
    }  # fmt: skip


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {}
