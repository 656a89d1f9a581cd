"""What is recorded as input and output of the runs of a chain, step by step."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

from tollway import attributes as attr


def _values(recorded: Any, name: str) -> list[tuple[Any, Any]]:
    """Return input and output of the spans of a name, in their order of starting."""
    spans = sorted((s for s in recorded.all() if s.name == name), key=lambda s: s.start_time)
    read = [(s.attributes[attr.INPUT_VALUE], s.attributes[attr.OUTPUT_VALUE]) for s in spans]
    return [(json.loads(given), json.loads(taken)) for given, taken in read]


def test_each_step_has_what_it_was_given_and_gave(traced_all: Any, scripted: Any) -> None:
    prompt = ChatPromptTemplate.from_messages([("user", "Say {word}")])
    shout = RunnableLambda(lambda text: text.upper())
    chain = prompt | scripted(AIMessage("yes")) | StrOutputParser() | shout
    assert chain.invoke({"word": "hello"}) == "YES"
    sequence = traced_all.named("invoke_workflow RunnableSequence").attributes
    assert json.loads(sequence[attr.INPUT_VALUE]) == {"word": "hello"}
    assert sequence[attr.OUTPUT_VALUE] == "YES"
    message = [{"role": "user", "parts": [{"type": "text", "content": "Say hello"}]}]
    assert _values(traced_all, "chain ChatPromptTemplate") == [({"word": "hello"}, message)]
    parser = traced_all.named("chain StrOutputParser").attributes
    answer = {"role": "assistant", "parts": [{"type": "text", "content": "yes"}]}
    assert json.loads(parser[attr.INPUT_VALUE]) == answer
    assert parser[attr.OUTPUT_VALUE] == "yes"
    assert traced_all.named("chain RunnableLambda").attributes[attr.INPUT_VALUE] == "yes"


def test_a_value_that_a_step_changes_in_place_is_read_again(traced_all: Any) -> None:
    def add(state: dict[str, int]) -> dict[str, int]:
        state["x"] += 1
        return state

    chain = RunnableLambda(add) | RunnableLambda(add) | RunnableLambda(add)
    assert chain.invoke({"x": 1}) == {"x": 4}
    steps = _values(traced_all, "chain add")
    assert steps == [({"x": 1}, {"x": 2}), ({"x": 2}, {"x": 3}), ({"x": 3}, {"x": 4})]
    assert _values(traced_all, "invoke_workflow RunnableSequence") == [({"x": 1}, {"x": 4})]


def test_a_value_changed_by_a_step_without_a_run_is_read_again(traced_all: Any) -> None:
    class Silent(Runnable[dict[str, int], dict[str, int]]):
        def invoke(
            self, input: dict[str, int], config: RunnableConfig | None = None, **kwargs: Any
        ) -> dict[str, int]:
            input["x"] *= 10
            return input

    same = RunnableLambda(lambda state: state, name="same")
    assert (same | Silent() | same).invoke({"x": 2}) == {"x": 20}
    assert _values(traced_all, "chain same") == [({"x": 2}, {"x": 2}), ({"x": 20}, {"x": 20})]


def test_the_attempts_of_a_retry_are_read_one_by_one(traced_all: Any) -> None:
    def fragile(state: dict[str, int]) -> dict[str, int]:
        state["x"] += 1
        if state["x"] < 3:
            raise ValueError("not yet")
        return state

    retried = RunnableLambda(fragile).with_retry(
        stop_after_attempt=3, wait_exponential_jitter=False
    )
    assert (RunnableLambda(lambda s: s) | retried).invoke({"x": 1}) == {"x": 3}
    spans = sorted(
        (s for s in traced_all.all() if s.name == "chain fragile"), key=lambda s: s.start_time
    )
    inputs = [json.loads(span.attributes[attr.INPUT_VALUE]) for span in spans]
    assert inputs == [{"x": 1}, {"x": 1}, {"x": 2}]  # the retry itself, and its two attempts


def test_an_object_that_cannot_be_read_is_named(
    traced_all: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Proxy:
        """Like a web framework's proxy, used outside its request."""

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("outside of a request")

    made = [Proxy()]
    passed = RunnableLambda(lambda _: made[0]) | RunnableLambda(lambda it: it, name="same")
    assert passed.invoke("x") is made[0]
    said = traced_all.named("chain same").attributes
    assert said[attr.INPUT_VALUE] == said[attr.OUTPUT_VALUE] == "<unreadable Proxy>"
    assert caplog.text.count("could not record") == 1
    caplog.clear()
