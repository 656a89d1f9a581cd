"""Own chat completions and legacy completions: whole responses, and streams chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping
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
    for choice in choices:
        answer.choices.append(_choice(fields(choice)))
    if not choices:
        _error(told, answer)
    return answer


def _choice(told: Any) -> Choice:
    message = fields(told.get("message"))
    choice = Choice(finish_reason=string(told.get("finish_reason")))
    content = message.get("content")
    if content is None:
        content = told.get("text")
    choice.text = (content or None) if content.__class__ is str else _joined(content)
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


def _whole_audio(value: Any, choice: Choice) -> None:
    if value:
        choice.other_parts.append(_audio(fields(value)))


_MESSAGE_READERS = {
    "role": _role,
    "refusal": _refusal,
    "reasoning_content": _reasoning,
    "reasoning": _reasoning,
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


def _joined(content: Any) -> str | None:
    """Return text of a string, or of a list of text parts (Mistral, Anthropic)."""
    if content is None or isinstance(content, str):
        return content or None
    texts = [fields(part).get("text") for part in items(content)]
    return "".join(text for text in texts if isinstance(text, str)) or None


def _fingerprint(told: Any, answer: Answer) -> None:
    fingerprint = told.get("system_fingerprint")
    if fingerprint and fingerprint.__class__ is str:
        answer.extra[attr.OPENAI_RESPONSE_SYSTEM_FINGERPRINT] = fingerprint
    if fingerprint == "fp_ollama":
        answer.extra[attr.GEN_AI_PROVIDER_NAME] = "ollama"
    elif "kv_transfer_params" in told or "prompt_logprobs" in told:
        answer.extra[attr.GEN_AI_PROVIDER_NAME] = "vllm"


def _error(told: Any, answer: Answer) -> None:
    """Read an error body under status 200, as some gateways send it."""
    said = told.get("error")
    if not said:
        return
    error = fields(said)
    code = error.get("code") or error.get("type")
    answer.error_type = str(code) if code else "provider_error"
    answer.error_message = string(error.get("message")) or (said if isinstance(said, str) else None)


# The fields of a delta, as a client's model remembers which were sent, that is text and no more.
_TEXT_AND_NO_MORE = ({"content"}, {"content", "role"})


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


class ChatChunks:
    """The chunks of a streamed (chat) completion, put together to an answer."""

    __slots__ = ("_choices", "_error", "_first", "_last_usage", "_text", "_tier")

    def __init__(self) -> None:
        self._choices: dict[Any, _ChoiceSoFar] = {}
        self._error: Mapping[str, Any] = {}
        self._first: dict[str, Any] = {}
        self._last_usage: Any = None
        self._tier: str | None = None
        self._text: list[str] | None = None
        """The text of choice 0, once it has begun: where almost every chunk goes."""

    def add(self, chunk: Any) -> bool:
        """Take one chunk: a ChatCompletionChunk, a Completion, or the JSON of either.

        Return whether it is the extra one that carries nothing but usage.
        """
        try:
            told = chunk.__dict__
            (choice,) = told["choices"]
            said = choice.__dict__
            delta = said["delta"]
            named = delta.__pydantic_fields_set__
            if (
                named in _TEXT_AND_NO_MORE
                and said["finish_reason"] is None
                and said["index"] == 0
                and told["usage"] is None
                and not delta.__pydantic_extra__
            ):
                text = delta.__dict__["content"]
                if text.__class__ is str:
                    self._text.append(text)  # type: ignore[union-attr]  # None: not begun
                    return False
        except (AttributeError, KeyError, TypeError, ValueError):
            return self._add_any(chunk)
        return self._add_any(chunk)

    def _add_any(self, chunk: Any) -> bool:
        told = fields(chunk)
        if not self._first.get("model"):
            self._first = {**told, **{k: v for k, v in self._first.items() if v}}
        usage = told.get("usage")
        if usage is None:
            # Groq's streams have it in an object of their own.
            usage = fields(told.get("x_groq")).get("usage")
        if usage is not None:
            self._last_usage = usage
        if told.get("service_tier") is not None:
            self._tier = told["service_tier"]
        choices = items(told.get("choices"))
        if told.get("error") and not choices:
            self._error = told
        for choice in choices:
            self._add_choice(fields(choice))
        return usage is not None and not told.get("choices")

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
        _error(self._error, answer)
        return answer

    def _add_choice(self, told: Any) -> None:
        index = told.get("index")
        if index.__class__ is not int:
            index = 0
        so_far = self._choices.get(index)
        if so_far is None:
            so_far = self._choices[index] = _ChoiceSoFar()
            if index == 0:
                self._text = so_far.text
        reason = told.get("finish_reason")
        if reason.__class__ is str:
            so_far.finish_reason = reason
        said = fields(told.get("delta"))
        text = _joined(said.get("content", told.get("text")))
        if text is not None:
            so_far.text.append(text)
        if said:
            _add_delta(so_far, said)


def _add_delta(so_far: _ChoiceSoFar, said: Any) -> None:
    so_far.role = string(said.get("role")) or so_far.role
    refusal = string(said.get("refusal"))
    if refusal:
        so_far.refusal.append(refusal)
    for item in items(said.get("tool_calls")):
        _add_tool_call(so_far.calls, fields(item))
    if said.get("function_call"):
        _add_tool_call(so_far.calls, {"index": "legacy", "function": said["function_call"]})
    reasoning = string(said.get("reasoning_content")) or string(said.get("reasoning"))
    if reasoning:
        so_far.reasoning.append(reasoning)
    transcript = string(fields(said.get("audio")).get("transcript"))
    if transcript:
        so_far.audio.append(transcript)


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
    name = string(function.get("name"))
    call = calls.get(index)
    if call is not None and name and call_id and call[0] and call[1] not in {None, call_id}:
        # Gemini gives parallel calls the same index; another id with a name is another call.
        index = call_id
        call = calls.get(index)
    if call is None:
        call = calls[index] = [None, None, [], None]
    call[0] = name or call[0]
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
