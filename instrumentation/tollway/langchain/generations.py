"""Own the attributes of a model's answer, from the `LLMResult` that a callback gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from tollway import attributes as attr
from tollway._capture import Content
from tollway.langchain.messages import message_json
from tollway.langchain.usage import usage_attributes

_FINISH_KEYS = ("finish_reason", "stop_reason", "stopReason", "done_reason", "finishReason")
_MODEL_KEYS = ("model_name", "model", "model_id", "model_version")
# gen_ai.output.messages has its own words for some providers' reasons.
_FINISH_WORDS = {
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "tool_use": "tool_call",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "STOP": "stop",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
}


def answer_attributes(
    response: LLMResult, content: Content, *, with_usage: bool = True
) -> dict[str, Any]:
    """Return what the answer says: model, id, usage, finish reasons, tool calls, messages."""
    choices = [g for group in response.generations for g in group if isinstance(g, Generation)]
    facts = [_facts(choice) for choice in choices]
    llm_output = response.llm_output if isinstance(response.llm_output, Mapping) else {}
    found: dict[str, Any] = {}
    model = _first([*facts, llm_output], _MODEL_KEYS)
    if model is not None:
        found[attr.GEN_AI_RESPONSE_MODEL] = found[attr.LLM_MODEL_NAME] = model
    response_id = _response_id(choices, facts)
    if response_id is not None:
        found[attr.GEN_AI_RESPONSE_ID] = response_id
    reasons = [reason for reason in (_word(f, _FINISH_KEYS) for f in facts) if reason]
    if reasons:
        found[attr.GEN_AI_RESPONSE_FINISH_REASONS] = reasons
    fingerprint = _first([*facts, llm_output], ("system_fingerprint",))
    if fingerprint is not None:
        found[attr.OPENAI_RESPONSE_SYSTEM_FINGERPRINT] = fingerprint
    tier = _first([*facts, llm_output], ("service_tier",))
    if tier is not None:
        found[attr.OPENAI_RESPONSE_SERVICE_TIER] = tier
    _add_tool_calls(choices, found)
    _add_usage(choices, llm_output, found, with_usage=with_usage)
    if content.enabled:
        found.update(_output_messages(choices, facts, content))
    return found


def is_cache_hit(response: LLMResult) -> bool:
    """Tell whether LangChain's own cache gave the answer: it sets the cost of those to zero."""
    for message in _messages(g for group in response.generations for g in group):
        usage: Any = message.usage_metadata
        if isinstance(usage, Mapping) and usage.get("total_cost") == 0:
            return True
    return False


def _add_usage(
    choices: Sequence[Generation],
    llm_output: Mapping[str, Any],
    found: dict[str, Any],
    *,
    with_usage: bool,
) -> None:
    if not with_usage:
        return
    for message in _messages(choices):
        usage = usage_attributes(message.usage_metadata)
        if usage:
            # A choice's usage is that of the whole call: all choices carry the same one.
            found.update({key: value for key, value in usage.items() if key not in found})
            return
    for key in ("token_usage", "usage"):
        usage = usage_attributes(llm_output.get(key))
        if usage:
            found.update(usage)
            return


def _add_tool_calls(choices: Sequence[Generation], found: dict[str, Any]) -> None:
    names: list[str] = []
    for message in _messages(choices):
        calls: list[Any] = [*message.tool_calls, *message.invalid_tool_calls]
        names.extend(str(call.get("name") or "") for call in calls)
    if names:
        found[attr.LLM_TOOL_CALL_COUNT] = len(names)
        found[attr.LLM_TOOL_CALL_NAMES] = names


def _output_messages(
    choices: Sequence[Generation], facts: Sequence[Mapping[str, Any]], content: Content
) -> dict[str, Any]:
    messages = []
    for choice, fact in zip(choices, facts, strict=True):
        if isinstance(choice, ChatGeneration):
            message = message_json(choice.message)
        else:
            message = {"role": "assistant", "parts": [{"type": "text", "content": choice.text}]}
        reason = _word(fact, _FINISH_KEYS)
        if reason:
            message["finish_reason"] = _FINISH_WORDS.get(reason, reason)
        messages.append(message)
    text = content.json(messages) if messages else None
    return {} if text is None else {attr.GEN_AI_OUTPUT_MESSAGES: text}


def _facts(choice: Generation) -> Mapping[str, Any]:
    info = choice.generation_info if isinstance(choice.generation_info, Mapping) else {}
    told = getattr(getattr(choice, "message", None), "response_metadata", None)
    return {**info, **told} if isinstance(told, Mapping) else info


def _messages(choices: Any) -> list[AIMessage]:
    return [c.message for c in choices if isinstance(getattr(c, "message", None), AIMessage)]


def _response_id(choices: Sequence[Generation], facts: Sequence[Mapping[str, Any]]) -> str | None:
    told = _first(facts, ("id", "response_id"))
    if told is not None:
        return told
    for message in _messages(choices):
        # LangChain names a message after its run where the provider gave no id.
        if message.id and not message.id.startswith(("run-", "lc_")):
            return str(message.id)
    return None


def _first(sources: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> str | None:
    for source in sources:
        word = _word(source, keys)
        if word is not None:
            return word
    return None


def _word(source: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    for key in keys:
        value = source.get(key)
        if isinstance(value, str) and value:
            return value
    return None
