"""The app's own callbacks that raise: the app gets what it would have got without us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableLambda

HOOKS = ["on_chain_start", "on_chain_end", "on_chat_model_start", "on_llm_end"]


def _raising(hook: str) -> BaseCallbackHandler:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyError(hook)

    handler = BaseCallbackHandler()
    handler.raise_error = True
    setattr(handler, hook, fail)
    return handler


WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "invoke": lambda chain, config: chain.invoke("x", config),
    "ainvoke": lambda chain, config: asyncio.run(chain.ainvoke("x", config)),
    "stream": lambda chain, config: list(chain.stream("x", config)),
    "batch": lambda chain, config: chain.batch(["x"], config),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("hook", HOOKS)
def test_handler_that_raises_raises_as_ever(
    record: Any, scripted: Any, caplog: pytest.LogCaptureFixture, hook: str, way: str
) -> None:
    def raised(is_on: bool) -> tuple[str, Any]:
        recorded = record(langchain=is_on)
        chain = RunnableLambda(lambda x: x) | scripted()
        with pytest.raises(KeyError) as caught:
            WAYS[way](chain, {"callbacks": [_raising(hook)]})
        return str(caught.value), recorded

    without, _ = raised(False)
    within, recorded = raised(True)
    assert within == without
    # What was started before the handler raised has ended, failed as the app saw it fail.
    for span in recorded.all():
        assert span.attributes.get("error.type", "KeyError") == "KeyError"
    ids = {span.context.span_id for span in recorded.all()}
    assert {span.parent.span_id for span in recorded.all() if span.parent} <= ids
    caplog.clear()  # LangChain logs the handler's error


@pytest.mark.parametrize("way", WAYS)
def test_handlers_of_the_app_change_nothing_here(
    traced: Any, tree: Any, scripted: Any, way: str
) -> None:
    heard: list[str] = []

    class Heard(BaseCallbackHandler):
        def on_chat_model_start(self, *_: Any, **__: Any) -> None:
            heard.append("model")

        def on_chain_start(self, *_: Any, **__: Any) -> None:
            heard.append("chain")

    WAYS[way](RunnableLambda(lambda x: x) | scripted(), {"callbacks": [Heard()]})
    assert heard == ["chain", "chain", "model"]
    assert tree(traced) == [("invoke_workflow RunnableSequence", ["chat claude-test"])]
