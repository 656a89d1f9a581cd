"""Own the OTel GenAI form of LangChain messages, and of the values that runs pass on.

What of it may leave the process, and how long it may be, is the content policy's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.prompt_values import PromptValue

_ROLES = {
    "human": "user",
    "ai": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "tool",
    "HumanMessageChunk": "user",
    "AIMessageChunk": "assistant",
    "SystemMessageChunk": "system",
    "ToolMessageChunk": "tool",
}
_TEXT_TYPES = frozenset({"text", "input_text", "output_text"})
_REASONING_TYPES = frozenset({"reasoning", "thinking"})
_TOOL_CALL_TYPES = frozenset({"tool_use", "function_call", "tool_call", "tool_call_chunk"})
_IMAGE_TYPES = frozenset({"image_url", "input_image"})
_MAX_DEPTH = 4


def message_json(message: BaseMessage) -> dict[str, Any]:
    """Return one message: role and parts."""
    role = _ROLES.get(message.type) or getattr(message, "role", None) or message.type
    if isinstance(message, ToolMessage):
        response = {
            "type": "tool_call_response",
            "id": message.tool_call_id,
            "response": message.content,
        }
        return {"role": role, "parts": [response]}
    parts = _parts(message.content)
    if isinstance(message, AIMessage):
        parts.extend(tool_call_part(call) for call in message.tool_calls)
        parts.extend(tool_call_part(call) for call in message.invalid_tool_calls)
    return {"role": role, "parts": parts}


def messages_json(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Return messages in order."""
    return [message_json(message) for message in messages]


def tool_call_part(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part for a tool call; arguments that are no JSON stay the text they are."""
    return {
        "type": "tool_call",
        "id": call.get("id"),
        "name": call.get("name"),
        "arguments": call.get("args"),
    }


def value_json(value: Any, depth: int = 0) -> Any:
    """Return a value of a run with the LangChain objects in it made readable.

    Messages, prompts and documents down to a few levels; other objects are left as they are.
    """
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, BaseMessage):
        return message_json(value)
    if isinstance(value, PromptValue):
        return messages_json(value.to_messages())
    if isinstance(value, Document):
        return {"content": value.page_content, "id": value.id, "metadata": value.metadata}
    return _nested_json(value, depth + 1) if depth < _MAX_DEPTH else value


def _nested_json(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {key: value_json(item, depth) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [value_json(item, depth) for item in value]
    return value


def _parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "content": content}] if content else []
    if not isinstance(content, list):
        return [{"type": "generic", "content": content}]
    parts = (_part(block) for block in content)
    return [part for part in parts if part is not None]


def _part(block: Any) -> dict[str, Any] | None:
    if not isinstance(block, Mapping):
        return {"type": "text" if isinstance(block, str) else "generic", "content": block}
    kind = block.get("type")
    if kind in _TEXT_TYPES:
        return {"type": "text", "content": block.get("text")}
    if kind in _REASONING_TYPES:
        return {"type": "reasoning", "content": _reasoning(block)}
    if kind in _TOOL_CALL_TYPES:
        return None  # told from the message's tool_calls, with parsed arguments
    if kind in _IMAGE_TYPES:
        image = block.get("image_url")
        url = image.get("url") if isinstance(image, Mapping) else image
        return {"type": "uri", "modality": "image", "uri": url}
    return dict(block)


def _reasoning(block: Mapping[str, Any]) -> Any:
    for key in ("reasoning", "thinking", "summary", "text"):
        if block.get(key):
            return block[key]
    return None
