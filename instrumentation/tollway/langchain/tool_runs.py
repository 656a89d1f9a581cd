"""Own what the spans of tools and retrievers say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import ToolMessage

from tollway import attributes as attr
from tollway._setup import State
from tollway._span import CallSpan
from tollway.langchain.starts import Start, value_text

TOOL = "tool"
RETRIEVER = "retriever"
_MAX_DESCRIPTION_CHARS = 1024


def tool_attributes(
    start: Start, serialized: Mapping[str, Any], name: str | None, tool_call_id: str | None
) -> dict[str, Any]:
    """Return what a tool's span starts with; name: the run's, where the config gives one."""
    tool = str(serialized.get("name") or name or "tool")
    found = start.attributes(TOOL, name or tool)
    found[attr.GEN_AI_OPERATION_NAME] = "execute_tool"
    found[attr.GEN_AI_TOOL_NAME] = tool
    found[attr.GEN_AI_TOOL_TYPE] = "function"
    description = serialized.get("description")
    if isinstance(description, str) and description:
        found[attr.GEN_AI_TOOL_DESCRIPTION] = description[:_MAX_DESCRIPTION_CHARS]
    if tool_call_id:
        found[attr.GEN_AI_TOOL_CALL_ID] = tool_call_id
    return found


def record_arguments(state: State, call: CallSpan, inputs: Any, text: str) -> None:
    """Record a tool's arguments; text: LangChain's rendering, where the tool takes one string."""
    if call.is_recording and state.content.enabled:
        value = inputs if isinstance(inputs, Mapping) else text
        call.set(attr.GEN_AI_TOOL_CALL_ARGUMENTS, value_text(state, value))


def record_result(state: State, call: CallSpan, output: Any) -> None:
    """Record what a tool gave back; an error that it made an answer of is still an error."""
    if not call.is_recording:
        return
    content = output
    if isinstance(output, ToolMessage):
        content = output.content
        call.set(attr.GEN_AI_TOOL_CALL_ID, output.tool_call_id)
        if output.status == "error":
            call.fail_as("tool_error", content if isinstance(content, str) else None)
    if state.content.enabled:
        call.set(attr.GEN_AI_TOOL_CALL_RESULT, value_text(state, content))


def retriever_attributes(start: Start, name: str) -> dict[str, Any]:
    """Return what a retriever's span starts with."""
    found = start.attributes(RETRIEVER, name)
    found[attr.GEN_AI_OPERATION_NAME] = "retrieval"
    return found
