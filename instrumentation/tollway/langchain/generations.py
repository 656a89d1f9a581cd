"""Own the attributes of a model's answer, from the `LLMResult` that a callback gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from tollway import attributes as attr
from tollway._capture import Content
from tollway.langchain.messages import message_json, refusal_of
from tollway.langchain.usage import usage_attributes

_FINISH_KEYS = ("finish_reason", "stop_reason", "stopReason", "done_reason", "finishReason")
_ID_KEYS = ("id", "response_id")
# Where providers' own usage is, for models that give no `usage_metadata`.
_USAGE_KEYS = ("token_usage", "usage", "token_count")
_WORDS = (
    (attr.GEN_AI_RESPONSE_MODEL, ("model_name", "model", "model_id", "model_version")),
    (attr.OPENAI_RESPONSE_SYSTEM_FINGERPRINT, ("system_fingerprint",)),
    (attr.OPENAI_RESPONSE_SERVICE_TIER, ("service_tier",)),
)
# gen_ai.output.messages has its own words for some providers' reasons.
_FINISH_WORDS = {
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "tool_use": "tool_call",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "STOP": "stop",
    "COMPLETE": "stop",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    "SAFETY": "content_filter",
    "guardrail_intervened": "content_filter",
}


def answer_attributes(
    response: LLMResult, content: Content, *, with_usage: bool = True
) -> dict[str, Any]:
    """Return what the answer says: model, id, usage, finish reasons, tool calls, messages."""
    choices = _choices(response)
    messages = _messages(choices)
    facts = [_facts(choice) for choice in choices]
    llm_output = response.llm_output if isinstance(response.llm_output, Mapping) else {}
    sources = [*facts, llm_output] if llm_output else facts
    found: dict[str, Any] = {}
    for attribute, keys in _WORDS:
        word = _first(sources, keys)
        if word is not None:
            found[attribute] = word
    if attr.GEN_AI_RESPONSE_MODEL in found:
        found[attr.LLM_MODEL_NAME] = found[attr.GEN_AI_RESPONSE_MODEL]
    response_id = _first(facts, _ID_KEYS) or _message_id(messages)
    if response_id is not None:
        found[attr.GEN_AI_RESPONSE_ID] = response_id
    reasons = [_word(fact, _FINISH_KEYS) for fact in facts]
    if any(reasons):
        found[attr.GEN_AI_RESPONSE_FINISH_REASONS] = [reason for reason in reasons if reason]
    _add_tool_calls(messages, found)
    if any(reason == "refusal" for reason in reasons) or any(map(refusal_of, messages)):
        found[attr.LLM_REFUSAL] = True
    if with_usage:
        _add_usage(messages, sources, found)
    if content.enabled:
        text = content.messages(_output_messages(choices, reasons))
        if text is not None:
            found[attr.GEN_AI_OUTPUT_MESSAGES] = text
    return found


def is_cache_hit(response: LLMResult) -> bool:
    """Tell whether LangChain's own cache gave the answer: it sets the cost of those to zero."""
    for message in _messages(_choices(response)):
        usage: Any = message.usage_metadata
        if usage and usage.get("total_cost") == 0:
            return True
    return False


def _choices(response: LLMResult) -> list[Generation]:
    return [c for group in response.generations for c in group if isinstance(c, Generation)]


def _messages(choices: Sequence[Generation]) -> list[AIMessage]:
    messages = (getattr(choice, "message", None) for choice in choices)
    return [message for message in messages if isinstance(message, AIMessage)]


def _add_usage(
    messages: Sequence[AIMessage], sources: Sequence[Mapping[str, Any]], found: dict[str, Any]
) -> None:
    # A choice's usage is that of the whole call: all choices carry the same one.
    told: list[Any] = [message.usage_metadata for message in messages]
    if not any(told):
        told = [source.get(key) for source in reversed(sources) for key in _USAGE_KEYS]
    for source in told:
        usage = usage_attributes(source) if source else None
        if usage:
            found.update({key: value for key, value in usage.items() if key not in found})
            return


def _add_tool_calls(messages: Sequence[AIMessage], found: dict[str, Any]) -> None:
    names: list[str] = []
    for message in messages:
        calls: list[Any] = [*message.tool_calls, *message.invalid_tool_calls]
        names.extend(str(call.get("name") or "") for call in calls)
    if names:
        found[attr.LLM_TOOL_CALL_COUNT] = len(names)
        found[attr.LLM_TOOL_CALL_NAMES] = names


def _output_messages(
    choices: Sequence[Generation], reasons: Sequence[str | None]
) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for choice, reason in zip(choices, reasons, strict=True):
        if isinstance(choice, ChatGeneration):
            message = message_json(choice.message)
        else:
            message = {"role": "assistant", "parts": [{"type": "text", "content": choice.text}]}
        if reason:
            message["finish_reason"] = _FINISH_WORDS.get(reason, reason)
        told.append(message)
    return told


def _facts(choice: Generation) -> Mapping[str, Any]:
    info = choice.generation_info or {}
    told = getattr(getattr(choice, "message", None), "response_metadata", None)
    return {**info, **told} if told and isinstance(told, Mapping) else info


def _message_id(messages: Sequence[AIMessage]) -> str | None:
    for message in messages:
        # LangChain names a message after its run where the provider gave no id.
        if message.id and not message.id.startswith(("run-", "lc_")):
            return str(message.id)
    return None


def _first(sources: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> str | None:
    for source in sources:
        word = _word(source, keys) if source else None
        if word is not None:
            return word
    return None


def _word(source: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    for key in keys:
        value = source.get(key)
        if value and isinstance(value, str):
            return value
    return None
