"""The demo's stand-in for the OpenAI API, driven by the real client over a real socket."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from aiohttp.test_utils import TestServer
from openai import AsyncOpenAI

from tollway_processor.demo.answers import answer, faults
from tollway_processor.demo.stub import make_app
from tollway_processor.demo.traffic import Ticket, sessions

CLOSURE = [{"role": "user", "content": "Please close my account A-77."}]
QUESTION = [{"role": "user", "content": "How do I change the delivery address?"}]
TOOLS = [{"type": "function", "function": {"name": "close_account", "parameters": {}}}]


@pytest.fixture
async def client() -> AsyncIterator[AsyncOpenAI]:
    async with (
        TestServer(make_app(), host="127.0.0.1") as server,
        AsyncOpenAI(base_url=str(server.make_url("/v1")), api_key="k", max_retries=0) as client,
    ):
        yield client


async def test_same_request_gets_the_same_answer(client: AsyncOpenAI) -> None:
    first, second = [await _create(client, model="gpt-4o", messages=QUESTION) for _ in range(2)]
    assert first.choices == second.choices
    assert first.usage == second.usage
    assert first.model == "gpt-4o-2024-08-06"


async def test_stream_says_and_charges_what_the_whole_answer_does(client: AsyncOpenAI) -> None:
    request: dict[str, Any] = {"model": "gpt-4o-mini", "messages": QUESTION}
    whole = await _create(client, **request)
    options = {"include_usage": True}
    stream = await _create(client, **request, stream=True, stream_options=options)
    chunks = [chunk async for chunk in stream]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert [c.usage for c in chunks if c.usage] == [whole.usage]
    assert len(chunks) > 4


async def test_stream_has_no_usage_unless_asked(client: AsyncOpenAI) -> None:
    stream = await _create(
        client,
        model="gpt-4o",
        messages=QUESTION,
        stream=True,
    )
    assert [chunk async for chunk in stream if chunk.usage] == []


async def test_tool_calls_come_in_pieces_that_join_to_json(client: AsyncOpenAI) -> None:
    request: dict[str, Any] = {"model": "gpt-4o", "messages": CLOSURE, "tools": TOOLS}
    stream = await _create(client, **request, stream=True)
    deltas = [c.choices[0].delta async for c in stream if c.choices]
    calls = [call for delta in deltas for call in delta.tool_calls or []]
    arguments = "".join(call.function.arguments or "" for call in calls if call.function)
    assert calls[0].function is not None
    assert calls[0].function.name == "close_account"
    assert json.loads(arguments)["account_id"] == "A-77"


async def test_unknown_model_answers_404(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="gpt-none"):
        await _create(client, model="gpt-none", messages=QUESTION)


async def test_body_without_messages_answers_400(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="messages"):
        await client.post("/chat/completions", body={"model": "gpt-4o"}, cast_to=object)


def test_long_prompt_is_cached_in_whole_steps() -> None:
    prompts = [[{"role": "user", "content": f"{n} " + "word " * 2000}] for n in range(40)]
    cached = {answer({"model": "gpt-4o", "messages": p}).cached_tokens for p in prompts}
    assert 0 in cached
    assert all(tokens % 128 == 0 for tokens in cached)
    assert answer({"model": "gpt-4o", "messages": QUESTION}).cached_tokens == 0


def test_student_is_faulty_on_account_closure_only() -> None:
    tickets = _tickets(6000)
    shares = {
        (variant, is_closure): _faulty_share(
            [t for t in tickets if t.variant == variant and _is_closure(t) == is_closure]
        )
        for variant in ("teacher", "student")
        for is_closure in (True, False)
    }
    assert 0.35 < shares["student", True] < 0.45
    assert shares["student", False] < 0.03
    assert shares["teacher", True] < 0.10
    assert shares["teacher", False] < 0.07


def test_traffic_is_half_and_half_with_a_tenth_of_account_closures() -> None:
    tickets = _tickets(1500)
    assert Counter(t.variant for t in tickets) == {"teacher": 750, "student": 750}
    closures = Counter(t.variant for t in tickets if _is_closure(t))
    assert closures == {"teacher": 75, "student": 75}
    assert len({t.text for t in tickets}) == len({t.number for t in tickets}) == 1500


def test_a_session_is_one_to_three_tickets_of_one_variant() -> None:
    visits = sessions(1500)
    assert {len(visit.tickets) for visit in visits} == {1, 2, 3}
    assert all(len({t.variant for t in visit.tickets}) == 1 for visit in visits)
    assert len({visit.id for visit in visits}) == len(visits)


async def _create(client: AsyncOpenAI, **request: Any) -> Any:
    create: Any = client.chat.completions.create
    return await create(**request)


def _tickets(count: int) -> list[Ticket]:
    return [ticket for visit in sessions(count) for ticket in visit.tickets]


def _is_closure(ticket: Ticket) -> bool:
    return ticket.cohort == "account-closure"


def _faulty_share(tickets: list[Ticket]) -> float:
    wrong = [faults(ticket.model, ticket.text) for ticket in tickets]
    return sum(fault.tool_arguments or fault.json for fault in wrong) / len(wrong)
