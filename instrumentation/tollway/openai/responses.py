"""Own the Responses API: its input items, its output items, its events, and background calls."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from tollway import attributes as attr
from tollway.openai.answer import Answer, Choice, ToolCall, tool_call_part
from tollway.openai.fields import fields, items, string
from tollway.openai.messages import content_parts
from tollway.openai.usage import read_usage

_FINAL_EVENTS = {"response.completed", "response.incomplete", "response.failed"}
_FINISH = {"max_output_tokens": "length", "content_filter": "content_filter"}
_APP_S_CALLS = {"apply_patch_call", "computer_call", "local_shell_call", "shell_call"}
"""Kinds of calls that the app itself is to carry out."""
_ASKED = ("action", "queries", "code", "operation")
"""Where the items of built-in tools say what was asked of the tool."""
_MAX_REMEMBERED = 10_000


def response_messages(said: Any) -> list[dict[str, Any]]:
    """Return the input of a Responses request as messages: a string, or a list of items."""
    if isinstance(said, str):
        return [{"role": "user", "parts": [{"type": "text", "content": said}]}]
    return [_input_item(item) for item in items(said)]


def _input_item(item: Any) -> dict[str, Any]:
    told = fields(item)
    kind = told.get("type")
    if told.get("role") is not None and kind in (None, "message"):
        role = told["role"]
        parts = content_parts(told.get("content"))
        return {"role": role if isinstance(role, str) else "unknown", "parts": parts}
    if isinstance(kind, str) and kind.endswith("_output"):
        output = told.get("output")
        if not isinstance(output, str):
            output = content_parts(output)
        part = {"type": "tool_call_response", "id": told.get("call_id"), "response": output}
        return {"role": "tool", "parts": [part]}
    call = _tool_call(told)
    if call is not None:
        return {"role": "assistant", "parts": [tool_call_part(call)]}
    if kind == "reasoning":
        return {"role": "assistant", "parts": [_reasoning_part(told)]}
    return {"role": "unknown", "parts": [{**told, "type": str(kind)}]}


def response_answer(result: Any, provider: str) -> Answer:
    """Read a Response, or the JSON of one."""
    told = fields(result)
    answer = Answer(
        id=string(told.get("id")),
        model=string(told.get("model")),
        usage=read_usage(told.get("usage"), provider),
        service_tier=string(told.get("service_tier")),
    )
    answer.is_background = told.get("background") is True
    status = string(told.get("status"))
    if status:
        answer.extra[attr.OPENAI_RESPONSE_STATUS] = status
    choice = Choice()
    output = items(told.get("output"))
    for item in output:
        _output_item(fields(item), choice)
    choice.finish_reason = _finish_reason(told, status, choice)
    if output or status:
        answer.choices = [choice]
    conversation = told.get("conversation")
    conversation_id = string(conversation) or string(fields(conversation).get("id"))
    if conversation_id:
        answer.extra[attr.GEN_AI_CONVERSATION_ID] = conversation_id
    _error(told, status, answer)
    return answer


def _finish_reason(told: Any, status: str | None, choice: Choice) -> str | None:
    if status == "completed":
        is_waiting = any(not call.is_server_side for call in choice.tool_calls)
        return "tool_calls" if is_waiting else "stop"
    if status == "incomplete":
        reason = string(fields(told.get("incomplete_details")).get("reason"))
        return _FINISH.get(reason, reason) if reason else "incomplete"
    return None


def _error(told: Any, status: str | None, answer: Answer) -> None:
    error = fields(told.get("error"))
    if status == "failed" or (error and status is None):
        answer.error_type = string(error.get("code")) or string(error.get("type")) or "failed"
        answer.error_message = string(error.get("message"))


def _output_item(told: Any, choice: Choice) -> None:
    kind = told.get("type")
    if kind == "message":
        _message(told, choice)
    elif kind == "reasoning":
        choice.other_parts.append(_reasoning_part(told))
    else:
        call = _tool_call(told)
        if call is not None:
            choice.tool_calls.append(call)
        elif told:
            choice.other_parts.append({**told, "type": str(kind)})


def _message(told: Any, choice: Choice) -> None:
    for part in items(told.get("content")):
        said = fields(part)
        text = said.get("text")
        if isinstance(text, str):
            choice.text = (choice.text or "") + text
        if string(said.get("refusal")):
            choice.refusal = (choice.refusal or "") + said["refusal"]


def _reasoning_part(told: Any) -> dict[str, Any]:
    pieces = [*items(told.get("summary")), *items(told.get("content"))]
    texts = [fields(piece).get("text") for piece in pieces]
    return {"type": "reasoning", "content": "\n".join(t for t in texts if isinstance(t, str))}


def _tool_call(told: Any) -> ToolCall | None:
    """Read an item that calls a tool of the app's, or one that the provider ran itself."""
    kind = told.get("type")
    if not isinstance(kind, str):
        return None
    if kind in {"function_call", "custom_tool_call"}:
        arguments = told.get("arguments", told.get("input"))
        return ToolCall(
            string(told.get("name")), string(told.get("call_id") or told.get("id")), arguments
        )
    if kind == "mcp_call":
        name = string(told.get("name"))
        return ToolCall(name, string(told.get("id")), told.get("arguments"), is_server_side=True)
    if kind.endswith("_call"):
        call_id = string(told.get("call_id") or told.get("id"))
        asked = {key: _sent(told[key]) for key in _ASKED if told.get(key) is not None}
        is_server_side = kind not in _APP_S_CALLS
        return ToolCall(kind.removesuffix("_call"), call_id, asked or None, is_server_side)
    return None


def _sent(value: Any) -> Any:
    """Return an object without the fields that only the client's model of it has."""
    told = fields(value)
    return {key: said for key, said in told.items() if said is not None} if told else value


class ResponseEvents:
    """The events of a streamed response, put together to an answer.

    The last event holds the whole response; until it comes, deltas and finished items do.
    """

    __slots__ = ("_error", "_items", "_refusal", "_response", "_text")

    def __init__(self) -> None:
        self._response: Any = None
        self._items: list[Any] = []
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._error: Any = None

    def add(self, event: Any) -> bool:
        """Take one event: an event model, or its JSON; none of them is there for usage alone."""
        told = fields(event)
        kind = told.get("type")
        if kind == "response.output_text.delta":
            delta = told.get("delta")
            if delta.__class__ is str:
                self._text.append(delta)
        elif kind == "response.refusal.delta":
            delta = told.get("delta")
            if delta.__class__ is str:
                self._refusal.append(delta)
        elif kind == "response.output_item.done":
            self._items.append(told.get("item"))
        elif kind == "error":
            self._error = told
        elif told.get("response") is not None:
            self._response = told["response"]
        elif told.get("event") == "error":
            self._error = fields(told.get("data"))  # as openai 1.66 hands it over
        return False

    def answer(self, provider: str) -> Answer:
        """Return the answer as far as it has come."""
        answer = response_answer(self._response, provider)
        choice = answer.choices[0] if answer.choices else None
        if choice is None or not (choice.text or choice.tool_calls or choice.other_parts):
            reason = choice.finish_reason if choice is not None else None
            choice = Choice(finish_reason=reason)
            for item in self._items:
                _output_item(fields(item), choice)
            if choice.text is None:
                choice.text = "".join(self._text) or None
            if choice.refusal is None:
                choice.refusal = "".join(self._refusal) or None
            answer.choices = [choice]
        if self._error is not None:
            code = self._error.get("code")
            answer.error_type = str(code) if code else "provider_error"
            answer.error_message = string(self._error.get("message"))
        return answer


_counted: OrderedDict[str, None] = OrderedDict()


def take_usage_once(answer: Answer, *, is_create: bool, is_background: bool) -> None:
    """Drop the usage of an answer where an earlier span of this process has it already.

    A retrieved response was paid for when it was created, and its usage was on that span, unless
    it ran in the background: then the first retrieve that sees usage carries it.
    """
    if answer.usage is None or answer.id is None:
        return
    if not is_create and (not is_background or answer.id in _counted):
        answer.usage = None
        return
    if is_background:
        _counted[answer.id] = None
        if len(_counted) > _MAX_REMEMBERED:
            _counted.popitem(last=False)
