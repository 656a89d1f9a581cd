"""Own chat completions and legacy completions: whole responses, and streams chunk by chunk."""

from __future__ import annotations

from typing import Any

from tollway import attributes as attr
from tollway.openai.answer import Answer, Choice, ToolCall
from tollway.openai.fields import fields, items, string
from tollway.openai.messages import tool_calls_of
from tollway.openai.usage import read_usage


def chat_answer(result: Any, provider: str) -> Answer:
    """Read a ChatCompletion, a legacy Completion, or the JSON of either."""
    told = fields(result)
    answer = Answer(
        id=string(told.get("id")),
        model=string(told.get("model")),
        usage=read_usage(told.get("usage"), provider),
        service_tier=string(told.get("service_tier")),
    )
    _fingerprint(told, answer)
    choices = items(told.get("choices"))
    answer.choices = [_choice(fields(choice)) for choice in choices]
    _error(told, answer)
    return answer


def _choice(told: Any) -> Choice:
    message = fields(told.get("message"))
    choice = Choice(finish_reason=string(told.get("finish_reason")))
    choice.role = string(message.get("role")) or "assistant"
    content = message.get("content")
    if content is None:
        content = told.get("text")
    choice.text = _joined(content)
    choice.refusal = string(message.get("refusal"))
    choice.reasoning = string(message.get("reasoning_content")) or string(message.get("reasoning"))
    if message.get("tool_calls") or message.get("function_call"):
        choice.tool_calls = tool_calls_of(message)
    audio = message.get("audio")
    if audio:
        choice.other_parts.append(_audio(fields(audio)))
    return choice


def _audio(told: Any) -> dict[str, Any]:
    return {
        "type": "blob",
        "modality": "audio",
        "id": told.get("id"),
        "transcript": told.get("transcript"),
        "content": {"data": told.get("data")},
    }


def _joined(content: Any) -> str | None:
    """Return text of a string, or of a list of text parts (Mistral, Anthropic)."""
    if content is None or isinstance(content, str):
        return content or None
    texts = [fields(part).get("text") for part in items(content)]
    return "".join(text for text in texts if isinstance(text, str)) or None


def _fingerprint(told: Any, answer: Answer) -> None:
    fingerprint = string(told.get("system_fingerprint"))
    if fingerprint:
        answer.extra[attr.OPENAI_RESPONSE_SYSTEM_FINGERPRINT] = fingerprint
    if fingerprint == "fp_ollama":
        answer.extra[attr.GEN_AI_PROVIDER_NAME] = "ollama"
    elif "kv_transfer_params" in told or "prompt_logprobs" in told:
        answer.extra[attr.GEN_AI_PROVIDER_NAME] = "vllm"


def _error(told: Any, answer: Answer) -> None:
    """Read an error body under status 200, as some gateways send it."""
    said = told.get("error")
    if not said or answer.choices:
        return
    error = fields(said)
    code = error.get("code") or error.get("type")
    answer.error_type = str(code) if code else "provider_error"
    answer.error_message = string(error.get("message")) or (said if isinstance(said, str) else None)


class _ChoiceSoFar:
    """One choice of a stream, as far as its chunks have come."""

    __slots__ = (
        "audio",
        "calls",
        "finish_reason",
        "legacy",
        "reasoning",
        "refusal",
        "role",
        "text",
    )

    def __init__(self) -> None:
        self.role: str | None = None
        self.text: list[str] = []
        self.refusal: list[str] = []
        self.reasoning: list[str] = []
        self.audio: list[str] = []
        self.calls: dict[Any, list[Any]] = {}
        self.finish_reason: str | None = None
        self.legacy: list[str] = []


class ChatChunks:
    """The chunks of a streamed (chat) completion, put together to an answer."""

    __slots__ = ("_choices", "_first", "_last_usage", "_tier")

    def __init__(self) -> None:
        self._choices: dict[Any, _ChoiceSoFar] = {}
        self._first: dict[str, Any] = {}
        self._last_usage: Any = None
        self._tier: str | None = None

    def add(self, chunk: Any) -> None:
        """Take one chunk: a ChatCompletionChunk, a Completion, or the JSON of either."""
        told = chunk.__dict__ if hasattr(chunk, "__dict__") else fields(chunk)
        if not self._first or not self._first.get("model"):
            self._begin(fields(chunk))
        usage = told.get("usage")
        if usage is not None:
            self._last_usage = usage
        tier = told.get("service_tier")
        if tier is not None:
            self._tier = tier
        choices = told.get("choices")
        if choices.__class__ is list:
            for choice in choices:
                self._add_choice(choice)
        if usage is None and choices.__class__ is not dict:
            self._odd_usage(chunk)

    def is_usage_only(self, chunk: Any) -> bool:
        """Tell the extra chunk that carries nothing but usage."""
        told = fields(chunk)
        return not told.get("choices") and told.get("usage") is not None

    def answer(self, provider: str) -> Answer:
        """Return the answer as far as it has come."""
        first = self._first
        answer = Answer(
            id=string(first.get("id")),
            model=string(first.get("model")),
            usage=read_usage(self._last_usage, provider),
            service_tier=string(self._tier),
        )
        _fingerprint(first, answer)
        in_order = sorted(self._choices, key=lambda i: i if isinstance(i, int) else 0)
        answer.choices = [_finished(self._choices[index]) for index in in_order]
        _error(first, answer)
        return answer

    def _begin(self, told: Any) -> None:
        self._first = {**told, **{k: v for k, v in self._first.items() if v}}

    def _odd_usage(self, chunk: Any) -> None:
        """Take usage from where some providers put it: Groq's x_groq, Moonshot's choices."""
        extra = getattr(chunk, "__pydantic_extra__", None)
        if extra:
            nested = fields(extra.get("x_groq")).get("usage")
            if nested is not None:
                self._last_usage = nested

    def _add_choice(self, choice: Any) -> None:
        told = choice.__dict__ if hasattr(choice, "__dict__") else fields(choice)
        index = told.get("index")
        if index.__class__ is not int:
            index = 0
        so_far = self._choices.get(index)
        if so_far is None:
            so_far = self._choices[index] = _ChoiceSoFar()
        reason = told.get("finish_reason")
        if reason.__class__ is str:
            so_far.finish_reason = reason
        delta = told.get("delta")
        if delta is None:
            text = told.get("text")
            if text.__class__ is str:
                so_far.text.append(text)
            return
        said = delta.__dict__ if hasattr(delta, "__dict__") else fields(delta)
        text = said.get("content")
        if text.__class__ is str:
            so_far.text.append(text)
        elif text is not None:
            so_far.text.append(_joined(text) or "")
        self._add_rest(so_far, said, delta)

    def _add_rest(self, so_far: _ChoiceSoFar, said: Any, delta: Any) -> None:
        if said.get("role").__class__ is str:
            so_far.role = said["role"]
        if said.get("refusal").__class__ is str:
            so_far.refusal.append(said["refusal"])
        if said.get("tool_calls"):
            for item in items(said["tool_calls"]):
                _add_tool_call(so_far.calls, fields(item))
        if said.get("function_call"):
            _add_tool_call(so_far.calls, {"index": "legacy", "function": said["function_call"]})
        extra = getattr(delta, "__pydantic_extra__", None) or (said if delta is said else None)
        if extra:
            reasoning = extra.get("reasoning_content") or extra.get("reasoning")
            if isinstance(reasoning, str):
                so_far.reasoning.append(reasoning)
            audio = fields(extra.get("audio")).get("transcript")
            if isinstance(audio, str):
                so_far.audio.append(audio)


def _add_tool_call(calls: dict[Any, list[Any]], told: Any) -> None:
    """Add one delta of a tool call: [name, id, [argument strings], whole arguments]."""
    function = fields(told.get("function")) or fields(told.get("custom"))
    call_id = string(told.get("id"))
    index = told.get("index")
    if index.__class__ is not int and index != "legacy":
        # Without an index a new id opens a new call, and a delta without id goes on with the last.
        known = next((k for k, call in calls.items() if call_id and call[1] == call_id), None)
        last = next(reversed(calls), 0)
        index = known if known is not None else (len(calls) if call_id else last)
    call = calls.get(index)
    if call is None:
        call = calls[index] = [None, None, [], None]
    call[0] = string(function.get("name")) or call[0]
    call[1] = call_id or call[1]
    arguments = function.get("arguments", function.get("input"))
    if isinstance(arguments, str):
        call[2].append(arguments)
    elif arguments is not None:
        call[3] = arguments


def _finished(so_far: _ChoiceSoFar) -> Choice:
    calls = [
        ToolCall(name, call_id, whole if whole is not None else "".join(pieces))
        for name, call_id, pieces, whole in so_far.calls.values()
    ]
    choice = Choice(
        role=so_far.role or "assistant",
        text="".join(so_far.text) or None,
        refusal="".join(so_far.refusal) or None,
        reasoning="".join(so_far.reasoning) or None,
        tool_calls=calls,
        finish_reason=so_far.finish_reason,
    )
    if so_far.audio:
        choice.other_parts.append(
            {"type": "blob", "modality": "audio", "transcript": "".join(so_far.audio)}
        )
    return choice
