"""Own the floor below the library's cost: the bare SDK doing the same work on the same calls.

`python tests/bench/instrumentation.py --profile` prints it. One process, one client; the ways to
make a call take turns of a few calls each, so that all of them see the same machine.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Callable, Iterator
from time import perf_counter_ns
from types import FrameType
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind

Job = Callable[[], Any]
Request = Callable[..., Any]
START_KEYS = (
    "gen_ai.provider.name",
    "server.address",
    "server.port",
    "gen_ai.operation.name",
    "gen_ai.request.model",
)


class _Last(SpanProcessor):
    """Keeps the attributes of the span that ended last."""

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}

    def on_end(self, span: ReadableSpan) -> None:
        self.attributes = dict(span.attributes or {})


class Floor:
    """The ways to make one kind of call: as it is, with the SDK alone, and with Tollway.

    owner: the client class whose `request` is swapped. provider: makes a fresh TracerProvider.
    """

    def __init__(self, owner: Any, job: Job, provider: Callable[[], TracerProvider]) -> None:
        import tollway

        tollway.uninstrument()
        self._owner, self._job = owner, job
        self._request: Request = owner.request
        self._tracer = provider().get_tracer("floor")
        told = self._told_attributes()
        self._start = {key: told[key] for key in START_KEYS}
        self._rest = {key: value for key, value in told.items() if key not in START_KEYS}
        self.attribute_count = len(told)
        self._provider = provider

    def measure(
        self, ways: dict[str, Request], rounds: int, calls: int, clock_ns: Callable[[], int]
    ) -> dict[str, float]:
        """Return what each way takes beyond the first, in µs: the median over its turns.

        calls: of one turn; the first of them, which finds the caches full of another way, is left
        out.
        """
        added: dict[str, list[float]] = {name: [] for name in ways}
        names = list(ways)
        for _ in range(rounds):
            random.shuffle(names)
            turn = {name: self._turn_us(ways[name], calls, clock_ns) for name in names}
            base = turn[next(iter(ways))]
            for name in names:
                added[name].append(turn[name] - base)
        self._owner.request = self._request
        return {name: statistics.median(found) for name, found in added.items()}

    def _turn_us(self, way: Request, calls: int, clock_ns: Callable[[], int]) -> float:
        self._owner.request = way
        took = []
        for _ in range(calls + 1):
            began_ns = clock_ns()
            self._job()
            took.append(clock_ns() - began_ns)
        return statistics.median(took[1:]) / 1000

    def bytecodes(self, way: Request) -> int:
        """Return how many bytecodes one call executes: the same number on a busy machine."""
        self._owner.request = way
        for _ in range(3):
            self._job()
        count = 0

        def step(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal count
            count += event == "opcode"
            return step

        def enter(frame: FrameType, event: str, _: Any) -> Any:
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            return step

        sys.settrace(enter)
        try:
            self._job()
        finally:
            sys.settrace(None)
            self._owner.request = self._request
        return count

    def as_it_is(self) -> Request:
        """Return the client's own method."""
        return self._request

    def wrapped(self) -> Request:
        """Return a wrapper that does nothing."""
        request = self._request

        def call(client: Any, *args: Any, **kwargs: Any) -> Any:
            return request(client, *args, **kwargs)

        return call

    def sdk_span(self, *, start: bool, rest: bool) -> Request:
        """Return the SDK's span around the call, current inside, with Tollway's attributes."""
        request, tracer = self._request, self._tracer
        at_start, at_end = self._start if start else {}, self._rest if rest else {}

        def call(client: Any, *args: Any, **kwargs: Any) -> Any:
            span = tracer.start_span("chat gpt-4o-mini", None, SpanKind.CLIENT, {**at_start})
            token = otel_context.attach(trace.set_span_in_context(span))
            try:
                return request(client, *args, **kwargs)
            finally:
                otel_context.detach(token)
                if at_end:
                    span.set_attributes({**at_end})
                span.end()

        return call

    def watched_stream(self, *, with_clock: bool) -> Request:
        """Return a call whose stream passes through a generator, with two clock reads a chunk."""
        request = self._request
        pass_on = _timed if with_clock else _passed

        def call(client: Any, *args: Any, **kwargs: Any) -> Any:
            stream = request(client, *args, **kwargs)
            stream._iterator = pass_on(stream._iterator)
            return stream

        return call

    def tollway(self) -> Request:
        """Return the method as Tollway patches it; Tollway stays instrumented."""
        import tollway

        tollway.uninstrument()
        tollway.instrument(tracer_provider=self._provider(), langchain=False)
        patched: Request = self._owner.request
        return patched

    def _told_attributes(self) -> dict[str, Any]:
        import tollway

        last, provider = _Last(), TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(last)
        tollway.instrument(tracer_provider=provider, langchain=False)
        self._job()
        tollway.uninstrument()
        return last.attributes


def _passed(chunks: Iterator[Any]) -> Iterator[Any]:
    yield from chunks


def _timed(chunks: Iterator[Any]) -> Iterator[Any]:
    waited_ns, since_ns = 0, perf_counter_ns()
    for chunk in chunks:
        waited_ns += perf_counter_ns() - since_ns
        yield chunk
        since_ns = perf_counter_ns()


def recorded(floor: Floor) -> dict[str, Request]:
    """Return the ways of a recorded call, each with one thing more than the one before."""
    return {
        "the client alone": floor.as_it_is(),
        "a wrapper that does nothing": floor.wrapped(),
        "a bare SDK span, current inside": floor.sdk_span(start=False, rest=False),
        "with what samplers are shown": floor.sdk_span(start=True, rest=False),
        f"with all {floor.attribute_count} attributes": floor.sdk_span(start=True, rest=True),
        "tollway": floor.tollway(),
    }


def streamed(floor: Floor) -> dict[str, Request]:
    """Return the ways of a stream: what watching its chunks takes, and what its span takes."""
    return {
        "the client alone": floor.as_it_is(),
        "a generator around the chunks": floor.watched_stream(with_clock=False),
        "with two clock reads a chunk": floor.watched_stream(with_clock=True),
        f"a bare SDK span, {floor.attribute_count} attributes": floor.sdk_span(
            start=True, rest=True
        ),
        "tollway": floor.tollway(),
    }


def unrecorded(floor: Floor) -> dict[str, Request]:
    """Return the ways of a call that a sampler drops."""
    return {
        "the client alone": floor.as_it_is(),
        "a wrapper that does nothing": floor.wrapped(),
        "the SDK's unrecorded span, current inside": floor.sdk_span(start=True, rest=False),
        "tollway": floor.tollway(),
    }
