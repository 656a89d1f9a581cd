"""Own the streams of chat and legacy completions: chunk by chunk, put together to an answer.

How a whole answer is read, and what the two have in common, is `chat`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tollway.openai.answer import Answer, Choice, ToolCall, parsed_arguments
from tollway.openai.chat import detailed, error_of, fingerprint_of, joined, thoughts
from tollway.openai.fields import fields, items, string
from tollway.openai.usage import read_usage

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
        if told.get("error"):
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
        fingerprint_of(first, answer)
        in_order = sorted(self._choices, key=lambda i: i if isinstance(i, int) else 0)
        answer.choices = [_finished(self._choices[index]) for index in in_order]
        error_of(self._error, answer)
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
        if told.get("usage") is not None:
            self._last_usage = told["usage"]  # Moonshot has it in the choice
        said = fields(told.get("delta")) or fields(told.get("message"))
        content = said.get("content", told.get("text"))
        text = joined(content)
        if text is not None:
            so_far.text.append(text)
        thought = thoughts(content) if content.__class__ is list else None
        if thought is not None:
            so_far.reasoning.append(thought)
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
    if not reasoning and said.get("reasoning_details"):
        reasoning = detailed(said["reasoning_details"])
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
    if call is not None and name and call[0] and _is_another(call, name, call_id):
        # Gemini gives parallel calls the same index.
        index = call_id or ("unnumbered", len(calls))
        call = calls.get(index)
    if call is None:
        call = calls[index] = [None, None, [], None]
    call[0] = _whole_name(call[0], name)
    call[1] = call_id or call[1]
    arguments = function.get("arguments", function.get("input"))
    if isinstance(arguments, str):
        call[2].append(arguments)
    elif arguments is not None:
        call[3] = arguments


def _is_another(call: list[Any], name: str, call_id: str | None) -> bool:
    """Tell a delta with a name that opens another call: by its id, or after whole arguments.

    Some servers repeat the name with every piece of the arguments.
    """
    if call_id:
        return call[1] not in {None, call_id}
    if call[3] is not None:
        return True
    so_far = "".join(call[2])
    if name != call[0]:
        return bool(so_far)
    return so_far.endswith("}") and not isinstance(parsed_arguments(so_far), str)


def _whole_name(so_far: str | None, name: str | None) -> str | None:
    """Return a tool's name after one more delta: it may come once, repeated, grown or in pieces."""
    if not so_far or not name:
        return name or so_far
    return name if name.startswith(so_far) else so_far + name


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
