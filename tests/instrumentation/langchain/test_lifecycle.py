"""Being on, off, suppressed, unsampled; imports; memory; and never in the way of the app's own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, AsyncCallbackManager, BaseCallbackHandler
from langchain_core.callbacks.base import BaseCallbackManager
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.language_models.llms import BaseLLM
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnableWithFallbacks
from langchain_core.runnables import config as runnable_config
from langchain_core.tools import BaseTool
from langchain_core.tracers.context import _configure_hooks
from langgraph._internal import _runnable as graph_runnable
from langgraph.graph import END, START, StateGraph
from langgraph.pregel import Pregel
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult

import tollway
from tollway import _guard
from tollway.langchain import runs

PATCHED: list[tuple[Any, str]] = [
    (runnable_config, "_set_config_context"),
    (graph_runnable, "_set_config_context"),
    *((BaseChatModel, name) for name in ("generate", "agenerate", "stream", "astream")),
    *((BaseLLM, name) for name in ("generate", "agenerate", "stream", "astream")),
    *((BaseRetriever, name) for name in ("invoke", "ainvoke")),
    (BaseTool, "arun"),
    (RunnableWithFallbacks, "runnables"),
    (AsyncCallbackManager, "on_llm_start"),
    (BaseChatModel, "invoke"),
    (BaseChatModel, "ainvoke"),
    (BaseLLM, "invoke"),
    (BaseLLM, "ainvoke"),
    (RunnableWithFallbacks, "stream"),
    (RunnableWithFallbacks, "astream"),
    (Pregel, "stream"),
    (Pregel, "astream"),
]


def test_uninstrument_restores_the_very_same_functions(record: Any) -> None:
    before = [vars(owner)[name] for owner, name in PATCHED]
    hooks, init = list(_configure_hooks), BaseCallbackManager.__init__
    for _ in range(2):
        record(langchain=True)
        assert all(
            vars(owner)[name] is not old for (owner, name), old in zip(PATCHED, before, strict=True)
        )
        tollway.uninstrument()
        assert all(
            vars(owner)[name] is old for (owner, name), old in zip(PATCHED, before, strict=True)
        )
        assert _configure_hooks == hooks
        assert BaseCallbackManager.__init__ is init


def test_nothing_is_recorded_after_uninstrument(traced: Any, streaming: Any) -> None:
    stream = streaming().stream("hi")
    next(stream)
    tollway.uninstrument()
    assert traced.one().attributes["tollway.stream.outcome"] == "abandoned"
    assert "gen_ai.input.messages" in traced.one().attributes
    list(stream)
    streaming().invoke("hi")
    assert len(traced.all()) == 1


def _python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_langchain_is_not_imported_for_an_app_without_it() -> None:
    program = "import sys, tollway; tollway.instrument(endpoint='http://127.0.0.1:1'); print('langchain_core' in sys.modules)"
    assert _python(program) == "False"


def test_langchain_imported_later_is_recorded_and_langgraph_not_needed() -> None:
    program = """
import sys, tollway
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
sys.modules["langgraph"] = sys.modules["langchain"] = None
tollway.instrument(tracer_provider=provider)
from langchain_core.language_models.fake_chat_models import FakeListChatModel
FakeListChatModel(responses=["Hello"]).invoke("hi")
print([span.name for span in exporter.get_finished_spans()])
"""
    assert _python(program) == "['chat FakeListChatModel']"


@pytest.mark.parametrize(
    "suppress",
    [
        tollway.suppress,
        lambda: _Suppressed(otel_context._SUPPRESS_INSTRUMENTATION_KEY),
    ],
    ids=["tollway", "opentelemetry"],
)
def test_suppressed_runs_leave_no_span(
    traced: Any, tree: Any, scripted: Any, suppress: Callable[[], Any]
) -> None:
    model = scripted()

    def quiet(value: Any) -> Any:
        with suppress():
            return (RunnableLambda(lambda x: x) | model).invoke(value)

    (RunnableLambda(quiet) | RunnableLambda(lambda _: "x") | model).invoke("x")
    assert tree(traced) == [("invoke_workflow RunnableSequence", ["chat claude-test"])]


class _Suppressed:
    def __init__(self, key: str) -> None:
        self._key = key

    def __enter__(self) -> None:
        self._token = otel_context.attach(otel_context.set_value(self._key, True))

    def __exit__(self, *_: object) -> None:
        otel_context.detach(self._token)


def test_sampling_is_honoured(record: Any, scripted: Any) -> None:
    recorded = record(langchain="all", sampler=ALWAYS_OFF)
    assert (RunnableLambda(lambda x: x) | scripted()).invoke("x").content == "Hello"
    assert recorded.all() == ()


class _Asking(Sampler):
    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}

    def should_sample(
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        *_: Any,
        **__: Any,
    ) -> SamplingResult:
        self.seen[name] = dict(attributes or {})
        return SamplingResult(Decision.RECORD_AND_SAMPLE)

    def get_description(self) -> str:
        return "asking"


def test_samplers_see_what_they_need_at_the_start(record: Any, scripted: Any) -> None:
    sampler = _Asking()
    record(langchain=True, sampler=sampler)
    scripted().invoke("x", {"metadata": {"route": "refunds"}})
    said = sampler.seen["chat claude-test"]
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == "anthropic"
    assert said["gen_ai.request.model"] == "claude-test"
    assert said["tollway.route"] == "refunds"


class _Heard(AsyncCallbackHandler):
    def __init__(self) -> None:
        self.events: list[str] = []

    async def on_llm_start(self, *_: Any, **__: Any) -> None:
        self.events.append("start")

    async def on_llm_end(self, *_: Any, **__: Any) -> None:
        self.events.append("end")


@pytest.mark.parametrize("is_on", [False, True])
def test_the_app_s_own_async_handler_hears_of_plain_llms_as_ever(record: Any, is_on: bool) -> None:
    recorded = record(langchain=is_on)
    heard = _Heard()
    asyncio.run(FakeListLLM(responses=["a", "b"]).abatch(["1", "2"], {"callbacks": [heard]}))
    assert sorted(heard.events) == ["end", "end", "start", "start"]
    assert len(recorded.all()) == (2 if is_on else 0)


def test_the_app_s_own_handlers_hear_the_same_events(record: Any, streaming: Any) -> None:
    class Heard(BaseCallbackHandler):
        def __init__(self) -> None:
            self.events: list[str] = []

        def on_chain_start(self, *_: Any, name: str, parent_run_id: Any, **__: Any) -> None:
            self.events.append(f"{name} {parent_run_id is None}")

        def on_llm_new_token(self, token: Any, **_: Any) -> None:
            self.events.append(str(token))

    def listen(is_on: bool) -> list[str]:
        record(langchain=is_on)
        heard = Heard()
        chain = ChatPromptTemplate.from_template("{x}") | streaming() | StrOutputParser()
        list(chain.stream({"x": 1}, {"callbacks": [heard]}))
        return heard.events

    assert listen(False) == listen(True)


def test_library_failure_does_not_reach_the_app(
    record: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = record(langchain=True)

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a bug of ours")

    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.setattr("tollway.langchain.llm_calls.answer_attributes", fail)
    monkeypatch.setattr("tollway.langchain.callback.request_attributes", fail)
    assert scripted().invoke("hi").content == "Hello"
    assert sum(_guard.failures.values()) == 2
    assert recorded.one().name == "chat ScriptedModel"
    assert "a bug of ours" in caplog.text
    caplog.clear()


def _graph() -> Any:
    graph = StateGraph(dict)
    graph.add_node("one", RunnableLambda(lambda _: {"a": 1}))
    graph.add_edge(START, "one")
    graph.add_edge("one", END)
    return graph.compile()


def _every_end(recorded: Any, streaming: Any) -> Callable[[int], None]:
    """Return a function that makes rounds of eight runs, which end in every way."""
    model, graph = streaming("a", "b", "c"), _graph()
    chain = RunnableLambda(lambda x: x) | model
    fallback = RunnableLambda(lambda _: 1 / 0).with_fallbacks([chain])

    async def cancelled() -> None:
        job = asyncio.ensure_future(chain.ainvoke("x"))
        await asyncio.sleep(0)
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)

    async def broken_off() -> None:
        async with contextlib.aclosing(chain.astream("x")) as stream:
            await anext(stream)
        async with contextlib.aclosing(chain.astream_events("x", version="v2")) as events:
            async for event in events:
                if event["event"] == "on_chat_model_stream":
                    break

    def some(rounds: int) -> None:
        for _ in range(rounds):
            chain.invoke("x")
            graph.invoke({})
            for stream in (chain.stream("x"), fallback.stream("x")):
                next(stream)
                stream.close()
            abandoned = model.stream("x")
            next(abandoned)
            del abandoned
            asyncio.run(cancelled())
            asyncio.run(broken_off())
            recorded.clear()
        gc.collect()

    return some


@pytest.mark.slow
def test_memory_is_flat_over_runs_whole_broken_and_abandoned(record: Any, streaming: Any) -> None:
    some = _every_end(record(langchain="all"), streaming)
    some(5)
    tracemalloc.start()
    try:
        some(3)
        before = tracemalloc.get_traced_memory()[0]
        some(10)
        grown_bytes = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown_bytes < 40_000


@pytest.mark.slow
def test_nothing_is_kept_of_twenty_thousand_runs(record: Any, streaming: Any) -> None:
    some = _every_end(record(langchain="all"), streaming)
    some(10)
    before = len(gc.get_objects())
    some(2500)
    assert len(gc.get_objects()) - before < 500


def test_runs_whose_end_is_never_told_are_bounded(
    traced: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uuid import uuid4

    monkeypatch.setattr(runs, "MAX_LIVE_RUNS", 10)
    [hook] = [h for h in _configure_hooks if type(h[0]).__module__.startswith("tollway")]
    callback = hook[0].get()
    for number in range(25):
        callback.on_tool_start({"name": f"tool{number}"}, "x", run_id=uuid4())
    assert len(callback.runs) == 10
    assert len(traced.all()) == 15
    assert {s.attributes["tollway.stream.outcome"] for s in traced.all()} == {"abandoned"}
