"""Own the input messages of chat calls in the OTel GenAI form: role and parts.

Redaction, cutting and JSON are the content policy's; media are summed up here, by their kind.
"""

from __future__ import annotations

from typing import Any

from tollway._capture import MAX_JSON_CHARS, Content
from tollway.openai.answer import ToolCall, tool_call_part
from tollway.openai.fields import fields, items, string

Part = dict[str, Any]
_SPEAKERS = ("user", "system", "assistant", "developer")


def chat_messages(messages: Any) -> list[dict[str, Any]]:
    """Return the messages of a chat completion request: [{role, parts: [{type, …}]}]."""
    if isinstance(messages, str):
        return [{"role": "user", "parts": [_text(messages)]}]
    return [_chat_message(message) for message in items(messages)]


def chat_json(messages: Any, content: Content) -> str | None:
    """Return the messages of a chat completion request as JSON; None when it must stay inside.

    A role and a text, as most messages are, are put together here; the rest take the long way.
    """
    if messages.__class__ is not list:
        return content.messages(chat_messages(messages))
    written: list[str] = []
    for message in messages:
        if message.__class__ is dict and len(message) == 2:
            role, text = message.get("role"), message.get("content")
            if text.__class__ is str and role in _SPEAKERS:
                literal = content.quoted(text)
                if literal is not None:
                    parts = f'[{{"type": "text", "content": {literal}}}]'
                    written.append(f'{{"role": "{role}", "parts": {parts}}}')
                    continue
        whole = content.messages([_chat_message(message)])
        if whole is None:
            return None
        written.append(whole[1:-1])
    text = f"[{', '.join(written)}]"
    return text if len(text) <= MAX_JSON_CHARS else content.messages(chat_messages(messages))


def prompt_messages(prompt: Any) -> list[dict[str, Any]]:
    """Return the prompts of a legacy completion or an embedding: strings, or lists of tokens."""
    if isinstance(prompt, str):
        return [{"role": "user", "parts": [_text(prompt)]}]
    prompts = items(prompt)
    if prompts and all(isinstance(token, int) for token in prompts):
        return [{"role": "user", "parts": [{"type": "tokens", "count": len(prompts)}]}]
    return [
        {"role": "user", "parts": [_text(p) if isinstance(p, str) else _tokens(p)]} for p in prompts
    ]


def content_parts(content: Any) -> list[Part]:
    """Return the parts of a message's content: a string, or a list of typed parts."""
    if isinstance(content, str):
        return [_text(content)]
    if content is None:
        return []
    if not isinstance(content, (list, tuple)):
        return [{"type": "unknown", "content": content}]
    return [_part(part) for part in content]


def _chat_message(message: Any) -> dict[str, Any]:
    told = fields(message)
    if not told:
        return {"role": "unknown", "parts": content_parts(message)}
    role = told.get("role")
    if role in {"tool", "function"}:
        call_id = told.get("tool_call_id") or told.get("name")
        response = told.get("content")
        if not isinstance(response, str):
            response = content_parts(response)
        part = {"type": "tool_call_response", "id": call_id, "response": response}
        return {"role": "tool", "parts": [part]}
    parts = content_parts(told.get("content"))
    reasoning = string(told.get("reasoning_content")) or string(told.get("reasoning"))
    if reasoning:
        parts.insert(0, {"type": "reasoning", "content": reasoning})
    refusal = string(told.get("refusal"))
    if refusal:
        parts.append({"type": "refusal", "content": refusal})
    parts.extend(tool_call_part(call) for call in tool_calls_of(told))
    return {"role": role if isinstance(role, str) else "unknown", "parts": parts}


def tool_calls_of(message: Any) -> list[ToolCall]:
    """Return the tool calls of an assistant's message, the legacy function call too."""
    calls = []
    for item in items(message.get("tool_calls")):
        told = fields(item)
        # A custom tool's call has `custom` and `input` where a function's has arguments.
        function = fields(told.get("function")) or fields(told.get("custom"))
        arguments = function.get("arguments", function.get("input"))
        calls.append(ToolCall(string(function.get("name")), string(told.get("id")), arguments))
    legacy = fields(message.get("function_call"))
    if legacy:
        calls.append(ToolCall(string(legacy.get("name")), None, legacy.get("arguments")))
    return calls


def _part(part: Any) -> Part:
    if isinstance(part, str):
        return _text(part)
    told = fields(part)
    kind = told.get("type")
    reader = _PART_READERS.get(kind) if isinstance(kind, str) else None
    if reader is not None:
        return reader(told)
    return {**told, "type": kind if isinstance(kind, str) else "unknown"}


def _text(text: Any) -> Part:
    return {"type": "text", "content": text}


def _tokens(prompt: Any) -> Part:
    return {"type": "tokens", "count": len(items(prompt))}


def _text_part(told: Any) -> Part:
    return _text(told.get("text"))


def _refusal_part(told: Any) -> Part:
    return {"type": "refusal", "content": told.get("refusal")}


def _image_part(told: Any) -> Part:
    image = told.get("image_url")
    url = image if isinstance(image, str) else fields(image).get("url")
    if url is None and told.get("file_id"):
        return {"type": "file", "modality": "image", "file_id": told.get("file_id")}
    if isinstance(url, str) and url.startswith("data:"):
        return {"type": "blob", "modality": "image", "content": url}
    return {"type": "uri", "modality": "image", "uri": url}


def _audio_part(told: Any) -> Part:
    audio = fields(told.get("input_audio"))
    # Kept as {data, format}: the content policy knows it as media by that.
    return {"type": "blob", "modality": "audio", "content": {**audio}}


def _file_part(told: Any) -> Part:
    file = fields(told.get("file")) or told
    if file.get("file_id"):
        return {"type": "file", "file_id": file.get("file_id")}
    if file.get("file_url"):
        return {"type": "uri", "modality": "file", "uri": file.get("file_url")}
    kept = {key: file.get(key) for key in ("filename", "file_data")}
    return {"type": "blob", "modality": "file", "content": kept}


_PART_READERS = {
    "text": _text_part,
    "input_text": _text_part,
    "output_text": _text_part,
    "refusal": _refusal_part,
    "image_url": _image_part,
    "input_image": _image_part,
    "input_audio": _audio_part,
    "file": _file_part,
    "input_file": _file_part,
}
