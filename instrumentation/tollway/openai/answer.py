"""Own the answer of a call in one form, and what of it goes on the span.

The extractors of the endpoints fill it, from a whole response or from the chunks of a stream.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tollway import attributes as attr
from tollway._capture import Content
from tollway.openai.usage import Usage, usage_attributes

# finish_reason in messages is an enum of its own; the span attribute keeps the provider's word.
_MESSAGE_FINISH = {"tool_calls": "tool_call", "function_call": "tool_call"}
_KNOWN_FINISH = frozenset({"stop", "length", "content_filter"})
_MAX_PARSED_ARGUMENTS = 20_000
UNEXPECTED_RESPONSE = "unexpected_response"
"""The error of an answer under status 200 that is none: HTML, nothing at all, no choices."""


@dataclass(slots=True)
class ToolCall:
    """One tool call of an answer; arguments as the provider sent them."""

    name: str | None
    id: str | None
    arguments: Any
    is_server_side: bool = False


@dataclass(slots=True)
class Choice:
    """One choice of an answer."""

    role: str = "assistant"
    text: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    other_parts: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str | None = None

    @property
    def is_text_alone(self) -> bool:
        """Whether the choice is an assistant's text that ended in a known way, and nothing else."""
        return (
            self.text is not None
            and self.finish_reason in _KNOWN_FINISH
            and self.role == "assistant"
            and not (self.tool_calls or self.other_parts or self.reasoning or self.refusal)
        )


@dataclass(slots=True)
class Answer:
    """What a provider answered: everything that any endpoint's span tells."""

    id: str | None = None
    model: str | None = None
    choices: list[Choice] = field(default_factory=list)
    usage: Usage | None = None
    service_tier: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    error_type: str | None = None
    error_message: str | None = None
    is_chat: bool = True
    is_background: bool = False


def answer_attributes(answer: Answer, content: Content, told: dict[str, Any]) -> None:
    """Add the span attributes of an answer; content as the policy allows."""
    if answer.extra:
        told.update(answer.extra)
    if answer.id:
        told[attr.GEN_AI_RESPONSE_ID] = answer.id
    if answer.model:
        told[attr.GEN_AI_RESPONSE_MODEL] = answer.model
        told[attr.LLM_MODEL_NAME] = answer.model
    if answer.service_tier:
        told[attr.OPENAI_RESPONSE_SERVICE_TIER] = answer.service_tier
    if answer.usage is not None:
        usage_attributes(answer.usage, told)
    if answer.is_chat:
        _choice_attributes(answer.choices, told)
    if answer.choices and content.enabled:
        messages = _output_json(answer.choices, content)
        if messages is not None:
            told[attr.GEN_AI_OUTPUT_MESSAGES] = messages


def _choice_attributes(choices: list[Choice], told: dict[str, Any]) -> None:
    reasons: list[str] = []
    names: list[str] = []
    calls = 0
    for choice in choices:
        if choice.finish_reason:
            reasons.append(choice.finish_reason)
        if choice.refusal:
            told[attr.LLM_REFUSAL] = True
        for call in choice.tool_calls:
            calls += 1
            if call.name:
                names.append(call.name)
    if reasons:
        told[attr.GEN_AI_RESPONSE_FINISH_REASONS] = tuple(reasons)
    told[attr.LLM_TOOL_CALL_COUNT] = calls
    if names:
        told[attr.LLM_TOOL_CALL_NAMES] = tuple(names)


def _output_json(choices: list[Choice], content: Content) -> str | None:
    if len(choices) == 1 and choices[0].is_text_alone:
        # Most answers: 2 µs for the 20 of the long way.
        choice = choices[0]
        literal = content.quoted(choice.text or "")
        if literal is not None:
            reason = choice.finish_reason or ""
            return (
                f'[{{"role": "assistant", "parts": [{{"type": "text", "content": {literal}}}]'
                f', "finish_reason": "{_MESSAGE_FINISH.get(reason, reason)}"}}]'
            )
    return content.messages([_message(choice) for choice in choices])


def _message(choice: Choice) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    if choice.reasoning:
        parts.append({"type": "reasoning", "content": choice.reasoning})
    if choice.text:
        parts.append({"type": "text", "content": choice.text})
    if choice.refusal:
        parts.append({"type": "refusal", "content": choice.refusal})
    parts.extend(choice.other_parts)
    parts.extend(tool_call_part(call) for call in choice.tool_calls)
    message: dict[str, Any] = {"role": choice.role, "parts": parts}
    if choice.finish_reason:
        reason = choice.finish_reason
        message["finish_reason"] = _MESSAGE_FINISH.get(reason, reason)
    return message


def tool_call_part(call: ToolCall) -> dict[str, Any]:
    """Return the message part of a tool call."""
    kind = "server_tool_call" if call.is_server_side else "tool_call"
    return {
        "type": kind,
        "id": call.id,
        "name": call.name,
        "arguments": parsed_arguments(call.arguments),
    }


def parsed_arguments(arguments: Any) -> Any:
    """Return tool arguments as the object they encode; as they are where they encode none.

    A student model that breaks the JSON is what a team looks for, so it stays visible as sent.
    """
    if not isinstance(arguments, str) or len(arguments) > _MAX_PARSED_ARGUMENTS:
        return arguments
    if not arguments.lstrip().startswith(("{", "[")):
        return arguments
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
