"""Own chat completions and legacy completions: whole responses; `chat_stream` owns the streams."""

from __future__ import annotations

from typing import Any

from tollway import attributes as attr
from tollway.openai.answer import UNEXPECTED_RESPONSE, Answer, Choice
from tollway.openai.fields import fields, items, string
from tollway.openai.messages import tool_calls_of
from tollway.openai.usage import read_usage

_THOUGHTS = ("thinking", "reasoning")


def chat_answer(result: Any, provider: str) -> Answer:
    """Read a ChatCompletion, a legacy Completion, or the JSON of either."""
    told = fields(result)
    answer = Answer(
        id=string(told.get("id")),
        model=string(told.get("model")),
        usage=read_usage(told.get("usage"), provider),
        service_tier=string(told.get("service_tier")),
    )
    fingerprint_of(told, answer)
    choices = items(told.get("choices"))
    for choice in choices:
        said = fields(choice)
        answer.choices.append(_choice(said))
        if said.get("error"):
            error_of(said, answer)  # OpenRouter: the model broke off in the middle
    if told.get("error"):
        error_of(told, answer)
    elif not choices:
        _no_choices(told, answer)
    return answer


def _no_choices(told: Any, answer: Answer) -> None:
    if told.get("object") == "error":
        error_of({"error": told}, answer)  # vLLM: the body itself is the error
    else:
        answer.error_type = UNEXPECTED_RESPONSE


def _choice(told: Any) -> Choice:
    message = fields(told.get("message"))
    choice = Choice(finish_reason=string(told.get("finish_reason")))
    content = message.get("content")
    if content is None:
        content = told.get("text")
    if content.__class__ is str:
        choice.text = content or None
    else:
        choice.text, choice.reasoning = joined(content), thoughts(content)
    # What is None is not asked further: most of a message is.
    for key, value in message.items():
        if value is not None and key in _MESSAGE_READERS:
            _MESSAGE_READERS[key](value, choice)
    if message.get("tool_calls") or message.get("function_call"):
        choice.tool_calls = tool_calls_of(message)
    return choice


def _role(value: Any, choice: Choice) -> None:
    choice.role = string(value) or choice.role


def _refusal(value: Any, choice: Choice) -> None:
    choice.refusal = string(value)


def _reasoning(value: Any, choice: Choice) -> None:
    choice.reasoning = choice.reasoning or string(value)


def _reasoning_details(value: Any, choice: Choice) -> None:
    choice.reasoning = choice.reasoning or detailed(value)


def _whole_audio(value: Any, choice: Choice) -> None:
    if value:
        choice.other_parts.append(_audio(fields(value)))


_MESSAGE_READERS = {
    "role": _role,
    "refusal": _refusal,
    "reasoning_content": _reasoning,
    "reasoning": _reasoning,
    "reasoning_details": _reasoning_details,
    "audio": _whole_audio,
}


def _audio(told: Any) -> dict[str, Any]:
    return {
        "type": "blob",
        "modality": "audio",
        "id": told.get("id"),
        "transcript": told.get("transcript"),
        "content": {"data": told.get("data")},
    }


def joined(content: Any) -> str | None:
    """Return text of a string, or of a list of text parts (Mistral, Anthropic)."""
    if content is None or isinstance(content, str):
        return content or None
    parts = [fields(part) for part in items(content)]
    texts = [part.get("text") for part in parts if part.get("type") not in _THOUGHTS]
    return "".join(text for text in texts if isinstance(text, str)) or None


def thoughts(content: Any) -> str | None:
    """Return what a list of parts holds as thinking (Mistral), or as a summary (Databricks)."""
    texts: list[Any] = []
    for part in items(content):
        told = fields(part)
        if told.get("type") not in _THOUGHTS:
            continue
        for key in ("thinking", "summary", "text"):
            said = told.get(key)
            texts.append(said)
            texts.extend(fields(piece).get("text") for piece in items(said))
    return "".join(text for text in texts if isinstance(text, str)) or None


def detailed(details: Any) -> str | None:
    """Return the text of OpenRouter's reasoning details: texts and summaries, nothing encrypted."""
    told = [fields(detail) for detail in items(details)]
    texts = [said.get("text") or said.get("summary") for said in told]
    return "".join(text for text in texts if isinstance(text, str)) or None


def fingerprint_of(told: Any, answer: Answer) -> None:
    fingerprint = told.get("system_fingerprint")
    if fingerprint and fingerprint.__class__ is str:
        answer.extra[attr.OPENAI_RESPONSE_SYSTEM_FINGERPRINT] = fingerprint
    if fingerprint == "fp_ollama":
        answer.extra[attr.GEN_AI_PROVIDER_NAME] = "ollama"
    elif "kv_transfer_params" in told or "prompt_logprobs" in told:
        answer.extra[attr.GEN_AI_PROVIDER_NAME] = "vllm"


def error_of(told: Any, answer: Answer) -> None:
    """Read an error body under status 200, as some gateways send it."""
    said = told.get("error")
    if not said:
        return
    error = fields(said)
    code = error.get("code") or error.get("type")
    answer.error_type = str(code) if code else "provider_error"
    answer.error_message = string(error.get("message")) or (said if isinstance(said, str) else None)
