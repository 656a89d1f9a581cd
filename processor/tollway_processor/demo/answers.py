"""What the demo's stand-in for a language model says to a request, and what it charges in tokens.

Pure and repeatable: the same request always gets the same answer. HTTP belongs to stub.py.
The teacher is slow and dear, the student fast and cheap; the student's one weakness is built in
here: tickets that ask to close an account (`STUDENT_CLOSURE_FAULTS`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

TEACHER: Final = "gpt-4o"
STUDENT: Final = "gpt-4o-mini"
SNAPSHOTS: Final[Mapping[str, str]] = {
    TEACHER: "gpt-4o-2024-08-06",
    STUDENT: "gpt-4o-mini-2024-07-18",
}
LATENCY_MS: Final[Mapping[str, float]] = {TEACHER: 36.0, STUDENT: 15.0}

# Shares of tickets that go wrong: (tool arguments alone, both, the JSON answer alone).
STUDENT_CLOSURE_FAULTS: Final = (0.10, 0.22, 0.12)
STUDENT_EASY_FAULTS: Final = (0.003, 0.005, 0.008)
TEACHER_FAULTS: Final = (0.015, 0.020, 0.020)

CHARACTERS_A_TOKEN: Final = 4
MESSAGE_OVERHEAD_TOKENS: Final = 4
CACHE_MINIMUM_TOKENS: Final = 1024
CACHE_STEP_TOKENS: Final = 128
CACHE_HIT_SHARE: Final = 0.7

EXTRAS: Final = (
    "It takes an hour at most, on Sundays a little longer.",
    "You can follow every step of it in your account, under Recent.",
    "If anything looks wrong there, answer this message and a person will look into it today.",
)
"""Sentences that an answer may go on with, so that answers differ in length and cost."""

_CLOSURE: Final = re.compile(r"\bclos(?:e|ing)\b.*\baccount\b", re.IGNORECASE)
_ORDER: Final = re.compile(r"\bO-\d+\b")
_ACCOUNT: Final = re.compile(r"\bA-\d+\b")
_AMOUNT: Final = re.compile(r"\$(\d+\.\d\d)")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One function call the model asks for; `arguments` is text that may fail to parse."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice with its usage; `latency_ms` is how long the provider takes over it."""

    id: str
    model: str
    text: str | None
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Faults:
    """What this model gets wrong in this conversation."""

    tool_arguments: bool
    json: bool


class UnknownModelError(LookupError):
    """The request names a model that the stand-in does not serve."""


def draw(*parts: str) -> float:
    """Return a number in [0, 1) that depends on `parts` alone."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def faults(model: str, ticket: str) -> Faults:
    """Return what `model` gets wrong about `ticket`, at the shares of its fault table."""
    if model == TEACHER:
        shares = TEACHER_FAULTS
    elif _CLOSURE.search(ticket):
        shares = STUDENT_CLOSURE_FAULTS
    else:
        shares = STUDENT_EASY_FAULTS
    arguments_only, both, json_only = shares
    position = draw("fault", model, ticket)
    return Faults(
        tool_arguments=position < arguments_only + both,
        json=arguments_only <= position < arguments_only + both + json_only,
    )


def answer(request: Mapping[str, Any]) -> Answer:
    """Answer a chat completion request (the JSON body, already parsed).

    Raises UnknownModelError for a model that is neither the teacher nor the student.
    """
    model = str(request.get("model"))
    if model not in SNAPSHOTS:
        raise UnknownModelError(model)
    messages: Sequence[Mapping[str, Any]] = request["messages"]
    ticket = next((_text(m) for m in messages if m.get("role") == "user"), "")
    seed = hashlib.blake2b(json.dumps([model, messages]).encode(), digest_size=12).hexdigest()
    wrong = faults(model, ticket)
    tool_results = [m for m in messages if m.get("role") == "tool"]
    calls: tuple[ToolCall, ...] = ()
    text: str | None = None
    if request.get("tools") and not tool_results:
        calls = _tool_calls(ticket, seed, broken=wrong.tool_arguments)
        reason = "tool_calls"
    else:
        text, reason = _final_text(ticket, has_tools=bool(tool_results), broken=wrong.json)
    prompt_tokens = _prompt_tokens(messages, request.get("tools"))
    said = (text or "") + "".join(call.name + call.arguments for call in calls)
    return Answer(
        id=f"chatcmpl-{seed}",
        model=SNAPSHOTS[model],
        text=text,
        tool_calls=calls,
        finish_reason=reason,
        prompt_tokens=prompt_tokens,
        cached_tokens=_cached_tokens(prompt_tokens, seed),
        completion_tokens=_tokens(said) + MESSAGE_OVERHEAD_TOKENS,
        latency_ms=LATENCY_MS[model] * (0.75 + 0.5 * draw("latency", seed)),
    )


def _tool_calls(ticket: str, seed: str, *, broken: bool) -> tuple[ToolCall, ...]:
    wanted: list[tuple[str, dict[str, Any]]] = []
    order = _ORDER.search(ticket)
    amount = _AMOUNT.search(ticket)
    account = _ACCOUNT.search(ticket)
    if order:
        wanted.append(("look_up_order", {"order_id": order[0]}))
    if order and amount:
        refund = {"order_id": order[0], "amount_usd": float(amount[1]), "reason": "damaged"}
        wanted.append(("issue_refund", refund))
    if account and _CLOSURE.search(ticket):
        closure = {"account_id": account[0], "reason": "customer_request", "keep_days": 30}
        wanted.append(("close_account", closure))
    return tuple(
        ToolCall(
            id=f"call_{seed[:20]}{index:02d}",
            name=name,
            arguments=_broken_arguments(arguments, seed) if broken else json.dumps(arguments),
        )
        for index, (name, arguments) in enumerate(wanted)
    )


def _broken_arguments(arguments: Mapping[str, Any], seed: str) -> str:
    whole = json.dumps(arguments)
    if draw("broken", seed) < 0.5:
        return whole[: len(whole) * 2 // 3]
    kept = list(arguments.items())[1:]
    return json.dumps(dict(kept))


def _final_text(ticket: str, *, has_tools: bool, broken: bool) -> tuple[str, str]:
    extras = EXTRAS[: int(draw("extras", ticket) * (len(EXTRAS) + 1))]
    if has_tools:
        reply = " ".join(("Your request is done; the confirmation is on its way.", *extras))
        said = {"decision": "done", "reference": _reference(ticket), "reply": reply}
    else:
        reply = " ".join(("Open Settings and follow the section that you need.", *extras))
        said = {"answer": reply, "article": f"kb/{_reference(ticket)}"}
    if not broken:
        return json.dumps(said), "stop"
    if draw("broken answer", ticket) < 0.5:
        return f"Sure! {reply} Anything else I can help you with?", "stop"
    whole = json.dumps(said)
    return whole[: len(whole) * 3 // 4], "length"


def _reference(ticket: str) -> str:
    return hashlib.blake2b(ticket.encode(), digest_size=4).hexdigest()


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content)


def _tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_A_TOKEN)


def _prompt_tokens(messages: Sequence[Mapping[str, Any]], tools: object) -> int:
    spoken = sum(
        _tokens(_text(message) + json.dumps(message.get("tool_calls") or ""))
        + MESSAGE_OVERHEAD_TOKENS
        for message in messages
    )
    return spoken + (_tokens(json.dumps(tools)) if tools else 0)


def _cached_tokens(prompt_tokens: int, seed: str) -> int:
    """Cache hits come in whole steps and only for long prompts, as OpenAI documents them."""
    if prompt_tokens < CACHE_MINIMUM_TOKENS or draw("cache", seed) >= CACHE_HIT_SHARE:
        return 0
    return prompt_tokens // CACHE_STEP_TOKENS * CACHE_STEP_TOKENS
