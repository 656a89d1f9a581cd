"""Routes and sessions: what they label, in threads and tasks, across services, as decorators."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.propagate import extract, inject

import tollway


@pytest.fixture
def start(spans: Any) -> Any:
    """Return a function that makes one span of another library."""
    tracer = spans.provider.get_tracer("other")

    def one(name: str = "work") -> None:
        with tracer.start_as_current_span(name):
            pass

    return one


def _labels(span: Any) -> dict[str, Any]:
    keys = ("tollway.route", "tollway.cohort", "tollway.variant", "session.id", "user.id")
    return {key: span.attributes[key] for key in keys if key in span.attributes}


def test_spans_of_other_libraries_are_stamped(spans: Any, start: Any) -> None:
    with tollway.session("s", user="u"), tollway.route("r", cohort="c", variant="v"):
        start()
    start("after")

    inside, after = spans.all()
    assert _labels(inside) == {
        "tollway.route": "r",
        "tollway.cohort": "c",
        "tollway.variant": "v",
        "session.id": "s",
        "user.id": "u",
    }
    assert _labels(after) == {}


def test_inner_route_takes_over_what_it_does_not_give(spans: Any, start: Any) -> None:
    with tollway.route("outer", cohort="c", variant="v"), tollway.route("inner", variant="w"):
        start()

    assert _labels(spans.one()) == {
        "tollway.route": "inner",
        "tollway.cohort": "c",
        "tollway.variant": "w",
    }


def test_pair_and_shadow_are_stamped(spans: Any, start: Any) -> None:
    with tollway.route("r", pair_id="p1", shadow=True):
        start()

    assert spans.one().attributes["tollway.pair.id"] == "p1"
    assert spans.one().attributes["tollway.shadow"] is True


def test_trace_id_of_a_block_is_that_of_the_last_trace_started(spans: Any, start: Any) -> None:
    with tollway.session("s") as session, tollway.route("r") as route:
        assert route.trace_id is None
        start()
        first = route.trace_id
        start()

    ids = [format(span.context.trace_id, "032x") for span in spans.all()]
    assert [first, route.trace_id] == ids
    assert session.trace_id == ids[1]


def test_threads_that_copy_the_context_are_labelled(spans: Any, start: Any) -> None:
    with tollway.route("r"):
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(start, "copied"))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(start, "bare").result()

    assert _labels(spans.named("copied")) == {"tollway.route": "r"}
    assert _labels(spans.named("bare")) == {}


async def test_tasks_are_labelled_each_with_its_own_route(spans: Any, start: Any) -> None:
    gate = asyncio.Barrier(2)

    async def serve(name: str) -> None:
        async with tollway.route(name) as route:
            await gate.wait()
            start(name)
            await gate.wait()
            assert route.trace_id == format(spans.named(name).context.trace_id, "032x")
            await asyncio.create_task(asyncio.to_thread(start, f"{name}.thread"))

    await asyncio.gather(serve("a"), serve("b"))
    for name in ("a", "b"):
        assert _labels(spans.named(name)) == {"tollway.route": name}
        assert _labels(spans.named(f"{name}.thread")) == {"tollway.route": name}


async def test_one_block_object_serves_many_tasks_at_once(spans: Any, start: Any) -> None:
    block = tollway.route("r")
    gate = asyncio.Barrier(3)

    async def serve() -> None:
        async with block:
            await gate.wait()
            start()
            await gate.wait()
        assert tollway._context.current_scope() is None  # type: ignore[attr-defined]  # its module

    await asyncio.gather(serve(), serve(), serve())
    assert [_labels(span) for span in spans.all()] == [{"tollway.route": "r"}] * 3


def test_decorated_functions(spans: Any, start: Any) -> None:
    @tollway.route("r", cohort="c")
    def answer(name: str) -> str:
        """Answer."""
        start(name)
        return name.upper()

    assert answer("x") == "X"
    assert answer.__name__ == "answer"
    assert answer.__doc__ == "Answer."
    assert _labels(spans.one()) == {"tollway.route": "r", "tollway.cohort": "c"}


async def test_decorated_coroutine(spans: Any, start: Any) -> None:
    @tollway.session("s")
    async def answer() -> int:
        await asyncio.sleep(0)
        start()
        return 1

    assert asyncio.iscoroutinefunction(answer)
    assert await answer() == 1
    assert _labels(spans.one()) == {"session.id": "s"}


def test_decorated_generator_labels_its_own_steps_only(spans: Any, start: Any) -> None:
    @tollway.route("r")
    def steps() -> Any:
        start("inside")
        got = yield 1
        start(got)
        try:
            yield 2
        except KeyError:
            yield 3
        return 4

    generator = steps()
    assert next(generator) == 1
    start("between")
    assert generator.send("sent") == 2
    assert generator.throw(KeyError()) == 3
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == 4
    assert _labels(spans.named("inside")) == {"tollway.route": "r"}
    assert _labels(spans.named("sent")) == {"tollway.route": "r"}
    assert _labels(spans.named("between")) == {}


async def test_decorated_async_generator(spans: Any, start: Any) -> None:
    closed = []

    @tollway.route("r")
    async def steps() -> Any:
        try:
            start("inside")
            yield 1
            yield 2
        finally:
            closed.append(True)

    generator = steps()
    async for _ in generator:
        start("between")
        break
    await generator.aclose()
    assert closed == [True]
    assert _labels(spans.named("inside")) == {"tollway.route": "r"}
    assert _labels(spans.named("between")) == {}


def test_labels_travel_to_the_next_service_as_baggage(spans: Any, start: Any) -> None:
    headers: dict[str, str] = {}
    with (
        tollway.session("s", user="ü 1"),
        tollway.route("r", cohort="c,=;", variant="v"),
        spans.provider.get_tracer("client").start_as_current_span("client"),
    ):
        inject(headers)
    spans.clear()

    remote = extract(headers)
    server = spans.provider.get_tracer("server").start_span("server", context=remote)
    token = otel_context.attach(trace.set_span_in_context(server, remote))
    start("child")
    otel_context.detach(token)
    server.end()

    expected = {
        "tollway.route": "r",
        "tollway.cohort": "c,=;",
        "tollway.variant": "v",
        "session.id": "s",
        "user.id": "ü 1",
    }
    assert _labels(spans.named("server")) == expected
    assert _labels(spans.named("child")) == expected


def test_leaving_in_another_context_detaches_nothing_there(
    spans: Any, caplog: pytest.LogCaptureFixture
) -> None:
    block = tollway.route("r")
    contextvars.copy_context().run(block.__enter__)
    with tollway.route("mine"):
        block.__exit__(None, None, None)
        assert tollway._context.stamps()["tollway.route"] == "mine"  # type: ignore[attr-defined]  # its module
    assert caplog.records == []


def test_values_that_are_no_strings_are_made_strings(spans: Any, start: Any) -> None:
    with tollway.route("r", cohort=7):  # type: ignore[arg-type]  # what apps do
        start()

    assert _labels(spans.one()) == {"tollway.route": "r", "tollway.cohort": "7"}


def test_suppress_records_nothing(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    client = wire.says(samples.chat()).client()
    with tollway.suppress():
        ask(client)
    token = otel_context.attach(
        otel_context.set_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY, True)
    )
    ask(client)
    otel_context.detach(token)
    assert spans.all() == ()
    ask(client)
    assert len(spans.all()) == 1
