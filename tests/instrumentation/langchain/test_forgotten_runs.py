"""Runs whose end LangChain forgets when a stream breaks off: none is lost, none stays live."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import (
    Runnable,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
)
from langchain_core.tracers.context import _configure_hooks

OUTCOME = "tollway.stream.outcome"
Chain = Runnable[Any, Any]


def _boom(*_: Any) -> Any:
    # A new one each time: an error that is kept keeps the frames that it went through.
    raise ValueError("boom")


def _each(items: Iterator[Any]) -> Iterator[Any]:
    yield from items


async def _aeach(items: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for item in items:
        yield item


_SAME = RunnableLambda(lambda x: x)
# Each from a function that makes a streaming model.
CHAINS: dict[str, Callable[[Callable[..., Any]], Chain]] = {
    "sequence": lambda model: _SAME | model() | StrOutputParser(),
    "generator": lambda model: model() | RunnableGenerator(_each, _aeach) | StrOutputParser(),
    "parallel": lambda model: RunnableParallel(a=model(), b=_SAME | model()),
    "parallel failing": lambda model: RunnableParallel(a=model(), b=RunnableLambda(_boom)),
    "failing midway": lambda model: _SAME | model("a", ValueError("cut")) | StrOutputParser(),
    "assign": lambda model: (
        RunnableLambda(lambda x: {"x": x})
        | RunnablePassthrough.assign(y=RunnablePick("x") | model())
        | RunnablePick("y")
    ),
    "fallback": lambda model: model(during=_boom).with_fallbacks([model() | StrOutputParser()]),
    "retry": lambda _: (_SAME | RunnableLambda(_boom)).with_retry(
        stop_after_attempt=2, wait_exponential_jitter=False
    ),
    "chain of a lambda": lambda model: RunnableLambda(lambda _: _SAME | model()),
}


def _break(chain: Chain) -> None:
    stream = chain.stream("x")
    next(stream)
    del stream


def _close(chain: Chain) -> None:
    stream = chain.stream("x")
    next(stream)
    stream.close()  # type: ignore[attr-defined]  # a generator, typed as an iterator


async def _acollect(chain: Chain) -> None:
    async for _ in chain.astream("x"):
        pass


async def _abreak(chain: Chain) -> None:
    async for _ in chain.astream("x"):
        break


async def _aclose(chain: Chain) -> None:
    stream = chain.astream("x")
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]  # a generator, typed as an iterator


async def _events(chain: Chain) -> None:
    async for event in chain.astream_events("x", version="v2"):
        if "stream" in event["event"]:
            break


async def _cancel(chain: Chain, work: Callable[[Chain], Any]) -> None:
    job = asyncio.ensure_future(work(chain))
    for _ in range(3):
        await asyncio.sleep(0)
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)


ENDS: dict[str, Callable[[Chain], Any]] = {
    "dropped": _break,
    "closed": _close,
    "async broken off": lambda chain: asyncio.run(_abreak(chain)),
    "async closed": lambda chain: asyncio.run(_aclose(chain)),
    "events broken off": lambda chain: asyncio.run(_events(chain)),
    "stream cancelled": lambda chain: asyncio.run(_cancel(chain, _acollect)),
    "call cancelled": lambda chain: asyncio.run(
        _cancel(chain, lambda cancelled: cancelled.ainvoke("x"))
    ),
}


def _live() -> int:
    [hook] = [h for h in _configure_hooks if type(h[0]).__module__.startswith("tollway")]
    callback: Any = hook[0].get()
    return len(callback.runs)


@pytest.mark.filterwarnings("ignore")  # LangChain's own: tasks and generators it leaves behind
@pytest.mark.parametrize("mode", [True, "all"])
@pytest.mark.parametrize("kind", CHAINS)
def test_no_run_stays_live(record: Any, streaming: Any, kind: str, mode: Any) -> None:
    recorded = record(langchain=mode)
    left: dict[str, int] = {}
    for how, end in ENDS.items():
        chain = CHAINS[kind](streaming)
        try:
            end(chain)
        except (ValueError, StopAsyncIteration):
            assert "failing" in kind or kind == "retry"
        if _live():
            gc.collect()
        left[how] = _live()
        ids = [span.context.span_id for span in recorded.all()]
        parents = [span.parent.span_id for span in recorded.all() if span.parent]
        assert set(parents) <= set(ids), f"{how}: a parent is lost"
        recorded.clear()
    assert left == dict.fromkeys(ENDS, 0)


@pytest.mark.parametrize("how", ["dropped", "closed", "async broken off", "async closed"])
def test_fallback_closed_at_its_first_chunk_is_told(
    traced: Any, tree: Any, streaming: Any, how: str
) -> None:
    chain = streaming(during=_boom, model="first").with_fallbacks([streaming("a", "b")])
    ENDS[how](chain)
    gc.collect()
    root = traced.named("invoke_workflow RunnableWithFallbacks")
    assert tree(traced) == [(root.name, ["chat first", "chat claude-test"])]
    assert root.attributes[OUTCOME] == "closed_early"
    assert root.attributes["tollway.fallback.count"] == 1
    assert root.status.is_unset
