"""Own what a request says: the attributes of its body, and its messages as content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tollway import attributes as attr
from tollway._capture import Content
from tollway.openai.fields import fields, items, string
from tollway.openai.messages import chat_json, chat_messages

if TYPE_CHECKING:
    from tollway.openai.endpoints import Endpoint

_NUMBERS = {
    "temperature": attr.GEN_AI_REQUEST_TEMPERATURE,
    "top_p": attr.GEN_AI_REQUEST_TOP_P,
    "frequency_penalty": attr.GEN_AI_REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": attr.GEN_AI_REQUEST_PRESENCE_PENALTY,
}
_INTEGERS = {
    "max_tokens": attr.GEN_AI_REQUEST_MAX_TOKENS,
    "max_completion_tokens": attr.GEN_AI_REQUEST_MAX_TOKENS,
    "max_output_tokens": attr.GEN_AI_REQUEST_MAX_TOKENS,
    "seed": attr.GEN_AI_REQUEST_SEED,
    "top_k": attr.GEN_AI_REQUEST_TOP_K,
    "n": attr.GEN_AI_REQUEST_CHOICE_COUNT,
    "dimensions": attr.GEN_AI_EMBEDDINGS_DIMENSION_COUNT,
}
_STRINGS = {
    "service_tier": attr.OPENAI_REQUEST_SERVICE_TIER,
    "reasoning_effort": attr.GEN_AI_REQUEST_REASONING_EFFORT,
    "previous_response_id": attr.OPENAI_PREVIOUS_RESPONSE_ID,
}
_OUTPUT_TYPES = {"json_object": "json", "json_schema": "json", "text": "text"}


def request_attributes(body: Mapping[str, Any], told: dict[str, Any]) -> None:
    """Add the span attributes of a request body; no content."""
    for key, value in body.items():
        reader = _READERS.get(key)
        if reader is not None and value is not None:
            reader(key, value, told)


def content_attributes(
    body: Mapping[str, Any], content: Content, endpoint: Endpoint, told: dict[str, Any]
) -> None:
    """Add the attributes that hold the input of a request; none when content is off."""
    if not content.enabled or endpoint.input_key is None:
        return
    read_messages = endpoint.read_messages
    given = body.get(endpoint.input_key)
    if given is not None:
        if read_messages is chat_messages:
            messages = chat_json(given, content)
        else:
            messages = content.messages(read_messages(given))
        if messages is not None:
            told[attr.GEN_AI_INPUT_MESSAGES] = messages
    instructions = body.get("instructions")
    if instructions is not None:
        parts = [{"type": "text", "content": instructions}]
        if not isinstance(instructions, str):
            parts = [part for message in read_messages(instructions) for part in message["parts"]]
        text = content.messages(parts)
        if text is not None:
            told[attr.GEN_AI_SYSTEM_INSTRUCTIONS] = text


def user_attribute(body: Mapping[str, Any], content: Content, told: dict[str, Any]) -> None:
    """Add the user that the app names to the provider, for an app that names none to Tollway.

    It may be a mail address, so it passes the content policy, and stays inside where content does.
    """
    user = string(body.get("safety_identifier")) or string(body.get("user"))
    kept = content.text(user) if user else None
    if kept:
        told[attr.USER_ID] = kept


def tool_definitions(body: Mapping[str, Any], content: Content) -> str | None:
    """Return the tools offered, flat: [{type, name, description, parameters}]."""
    tools = items(body.get("tools")) or [
        {"type": "function", "function": function} for function in items(body.get("functions"))
    ]
    if not tools:
        return None
    flat = []
    for tool in tools:
        told = dict(fields(tool))
        function = told.pop("function", None)
        flat.append({**told, **fields(function)} if function is not None else told)
    return content.json(flat)


def _number(key: str, value: Any, told: dict[str, Any]) -> None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        told[_NUMBERS[key]] = float(value)


def _integer(key: str, value: Any, told: dict[str, Any]) -> None:
    if value.__class__ is int and abs(value) < 2**63 and (key != "n" or value != 1):
        told[_INTEGERS[key]] = value


def _string(key: str, value: Any, told: dict[str, Any]) -> None:
    if isinstance(value, str):
        told[_STRINGS[key]] = value


def _stop(key: str, value: Any, told: dict[str, Any]) -> None:
    stops = [value] if isinstance(value, str) else [s for s in items(value) if isinstance(s, str)]
    if stops:
        told[attr.GEN_AI_REQUEST_STOP_SEQUENCES] = tuple(stops)


def _stream(key: str, value: Any, told: dict[str, Any]) -> None:
    if value is True:
        told[attr.GEN_AI_REQUEST_STREAM] = True


def _encoding(key: str, value: Any, told: dict[str, Any]) -> None:
    if isinstance(value, str):
        told[attr.GEN_AI_REQUEST_ENCODING_FORMATS] = (value,)


def _response_format(key: str, value: Any, told: dict[str, Any]) -> None:
    kind = value if isinstance(value, str) else fields(value).get("type")
    if isinstance(kind, str) and kind in _OUTPUT_TYPES:
        told[attr.GEN_AI_OUTPUT_TYPE] = _OUTPUT_TYPES[kind]


def _text_format(key: str, value: Any, told: dict[str, Any]) -> None:
    _response_format(key, fields(value).get("format"), told)


def _modalities(key: str, value: Any, told: dict[str, Any]) -> None:
    if "audio" in items(value):
        told[attr.GEN_AI_OUTPUT_TYPE] = "speech"


def _reasoning(key: str, value: Any, told: dict[str, Any]) -> None:
    effort = string(fields(value).get("effort"))
    if effort:
        told[attr.GEN_AI_REQUEST_REASONING_EFFORT] = effort


def _conversation(key: str, value: Any, told: dict[str, Any]) -> None:
    conversation_id = string(value) or string(fields(value).get("id"))
    if conversation_id:
        told[attr.GEN_AI_CONVERSATION_ID] = conversation_id


_READERS: dict[str, Callable[[str, Any, dict[str, Any]], None]] = {
    **dict.fromkeys(_NUMBERS, _number),
    **dict.fromkeys(_INTEGERS, _integer),
    **dict.fromkeys(_STRINGS, _string),
    "stop": _stop,
    "stream": _stream,
    "encoding_format": _encoding,
    "response_format": _response_format,
    "text": _text_format,
    "modalities": _modalities,
    "reasoning": _reasoning,
    "conversation": _conversation,
}
