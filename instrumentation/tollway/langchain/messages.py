"""Own the OTel GenAI form of LangChain messages, and of the values that runs pass on.

What of it may leave the process, and how long it may be, is the content policy's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    kind = message.type
    role = _ROLES.get(kind) or getattr(message, "role", None) or kind
    if role == "tool" and isinstance(message, ToolMessage):
        response = {
            "type": "tool_call_response",
            "id": message.tool_call_id,
            "response": message.content,
        }
        return {"role": role, "parts": [response]}
    parts = _parts(message.content)
    if role == "assistant" and isinstance(message, AIMessage):
        if message.additional_kwargs:
            _add_extras(message, parts)
        parts.extend(tool_call_part(call) for call in message.tool_calls)
        parts.extend(tool_call_part(call) for call in message.invalid_tool_calls)
    return {"role": role, "parts": parts}


def refusal_of(message: AIMessage) -> str | None:
    """Return the text with which a model refused, as OpenAI's kind of models tell it."""
    told = message.additional_kwargs.get("refusal") if message.additional_kwargs else None
    return told if told and isinstance(told, str) else None


def _add_extras(message: AIMessage, parts: list[dict[str, Any]]) -> None:
    """Add what integrations keep beside the content: thoughts (DeepSeek's kind), a refusal."""
    thought = message.additional_kwargs.get("reasoning_content")
    if thought and isinstance(thought, str):
        parts.insert(0, {"type": "reasoning", "content": thought})
    refusal = refusal_of(message)
    if refusal is not None:
        parts.append({"type": "refusal", "content": refusal})


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


def tools_json(tools: Sequence[Any]) -> list[Any]:
    """Return tool definitions flat, as the conventions have them; odd ones as they are."""
    told: list[Any] = []
    for tool in tools:
        function = tool.get("function") if isinstance(tool, Mapping) else None
        flat = isinstance(function, Mapping)
        told.append({"type": "function", **function} if flat and function else tool)
    return told


def value_json(value: Any, depth: int = 0) -> Any:
    """Return a value of a run with the LangChain objects in it made readable.

    Messages, prompts and documents down to a few levels; other objects are left as they are.
    """
    convert = _converters.get(type(value), _UNSEEN)
    if convert is _UNSEEN:
        convert = _converter(type(value))
    return value if convert is None else convert(value, depth)


def _mapping_json(value: Mapping[Any, Any], depth: int) -> Any:
    if depth >= _MAX_DEPTH:
        return value
    return {key: value_json(item, depth + 1) for key, item in value.items()}


def _list_json(value: Sequence[Any], depth: int) -> Any:
    return [value_json(item, depth + 1) for item in value] if depth < _MAX_DEPTH else value


def _document_json(value: Document, _: int) -> Any:
    return {"content": value.page_content, "id": value.id, "metadata": value.metadata}


_Convert = Callable[[Any, int], Any]
_CONVERT: Sequence[tuple[Any, _Convert]] = (
    (BaseMessage, lambda value, _: message_json(value)),
    (PromptValue, lambda value, _: messages_json(value.to_messages())),
    (Document, _document_json),
    (Mapping, _mapping_json),
    ((list, tuple), _list_json),
)
_UNSEEN: Any = object()
_MAX_TYPES = 1024
# isinstance on these abstract classes takes a microsecond each, and a chain asks for each value.
_converters: dict[type, _Convert | None] = {}


def _converter(kind: type) -> _Convert | None:
    found = next((convert for base, convert in _CONVERT if issubclass(kind, base)), None)
    if len(_converters) < _MAX_TYPES:
        _converters[kind] = found
    return found


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
