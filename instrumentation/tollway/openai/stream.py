"""Own the watching of a parsed stream: the app's object stays the client's own.

Only the iterator inside the stream is replaced, and the response's close is watched; each of them
goes on doing what it did.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from time import perf_counter_ns
from typing import Any

from tollway._guard import guard, swallow
from tollway._span import end_safely
from tollway.openai import usage_option
from tollway.openai.answer import UNEXPECTED_RESPONSE
from tollway.openai.call import Call
from tollway.openai.endpoints import Chunks

COMPLETED = "completed"
CLOSED_EARLY = "closed_early"
ABANDONED = "abandoned"
CANCELLED = "cancelled"
FAILED = "failed"


class _Abandoned:
    """Ends a call when the stream that holds it is collected; held by the iterator alone."""

    __slots__ = ("_call", "_chunks")

    def __init__(self, call: Call, chunks: Chunks) -> None:
        self._call = call
        self._chunks = chunks

    def __del__(self) -> None:
        call, chunks = self._call, self._chunks
        if call.span.is_open:
            end_safely(lambda: over(call, chunks, ABANDONED))


def _watched(
    inner: Any, call: Call, chunks: Chunks, abandoned: _Abandoned
) -> Generator[Any, None, None]:
    """Pass on the chunks of a sync stream.

    A generator, not an iterator class, and a `for` over locals: what is done here is done cold
    for each chunk, after the client's own work for it. `abandoned` is only held.
    """
    clock, add = perf_counter_ns, chunks.add
    hides_usage, forgets_usage = call.usage_asked, False
    is_early, wait_ns = True, call.wait_ns
    since_ns = clock()
    try:
        for item in inner:
            now_ns = clock()
            wait_ns += now_ns - since_ns
            call.wait_ns = wait_ns  # told by whoever closes the stream meanwhile
            if is_early:
                if call.first_chunk_ns is None:
                    _first_chunk(call, now_ns)
                forgets_usage = hides_usage and _says_usage(item)
                # Azure's first chunk has filter results alone, and tells nothing of the others.
                is_early = not getattr(item, "choices", True)
            try:
                is_extra = add(item)
            except Exception as exc:  # noqa: BLE001 - an odd chunk must reach the app all the same
                is_extra = False
                swallow("stream chunk", exc)
            if not is_extra or not hides_usage:
                if forgets_usage:
                    _forget_null_usage(item)
                yield item
            since_ns = clock()
        call.wait_ns = wait_ns + clock() - since_ns
        over(call, chunks, COMPLETED)
    except GeneratorExit:
        # Maybe in a garbage collection: `abandoned`, let go of next, knows when it may end a span.
        inner.close()
        raise
    except BaseException as exc:
        call.wait_ns = wait_ns + clock() - since_ns
        _broke(call, chunks, exc)
        raise


class WatchedAsyncIterator:
    """The chunks of an async stream on their way to the app.

    No async generator: the event loop would close it on its own when it is collected.
    """

    __slots__ = ("_abandoned", "_add", "_advance", "_call", "_chunks", "_inner", "is_running")

    def __init__(self, inner: Any, call: Call, chunks: Chunks) -> None:
        self._inner = inner
        self._advance = inner.__anext__
        self._call = call
        self._chunks = chunks
        self._add = chunks.add
        self._abandoned = _Abandoned(call, chunks)
        self.is_running = False

    def __getattr__(self, name: str) -> Any:
        # aclose, asend, athrow, ag_running, …: whatever the client's own iterator has.
        return getattr(object.__getattribute__(self, "_inner"), name)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        call = self._call
        while True:
            since_ns = perf_counter_ns()
            self.is_running = True
            try:
                item = await self._advance()
            except StopAsyncIteration:
                self._stop(since_ns)
                over(call, self._chunks, COMPLETED)
                raise
            except BaseException as exc:
                self._stop(since_ns)
                _broke(call, self._chunks, exc)
                raise
            self.is_running = False
            now_ns = perf_counter_ns()
            call.wait_ns += now_ns - since_ns
            if call.first_chunk_ns is None:
                _first_chunk(call, now_ns)
            try:
                is_extra = self._add(item)
            except Exception as exc:  # noqa: BLE001 - an odd chunk must reach the app all the same
                is_extra = False
                swallow("stream chunk", exc)
            if not call.usage_asked:
                return item
            if not is_extra:
                _forget_null_usage(item)
                return item

    def _stop(self, since_ns: int) -> None:
        self.is_running = False
        self._call.wait_ns += perf_counter_ns() - since_ns


def _says_usage(item: Any) -> bool:
    return "usage" in getattr(item, "__pydantic_fields_set__", ())


def _forget_null_usage(item: Any) -> None:
    """Unset the `usage: null` that a server puts on every chunk when it is asked for usage."""
    try:
        if item.usage is None:
            item.__pydantic_fields_set__.discard("usage")
    except AttributeError:
        return


def _first_chunk(call: Call, now_ns: int) -> None:
    call.first_chunk_ns = now_ns - call.start_ns
    if call.usage_asked:
        usage_option.learn(call.server, takes_option=True)


def _broke(call: Call, chunks: Chunks, exc: BaseException) -> None:
    """End the span of a stream that raised.

    Cancelled tasks and interrupts are the app's own choice, and no fault of the provider.
    """
    if isinstance(exc, Exception):
        over(call, chunks, FAILED, exc)
    else:
        over(call, chunks, CANCELLED)


def watch_stream(stream: Any, call: Call) -> None:
    """Watch a client's Stream or AsyncStream until it is over, however it ends."""
    inner = stream._iterator
    chunks = call.endpoint.chunks()
    if hasattr(inner, "__anext__"):
        stream._iterator = watched = WatchedAsyncIterator(inner, call, chunks)
        _watch_early_close(stream.response, call, chunks, lambda: watched.is_running)
        return
    generator: Any = _watched(inner, call, chunks, _Abandoned(call, chunks))
    stream._iterator = generator
    _watch_early_close(stream.response, call, chunks, lambda: generator.gi_running)


def _watch_early_close(
    response: Any, call: Call, chunks: Chunks, is_reading: Callable[[], bool]
) -> None:
    """End the span when the app closes the response; while a chunk is read, the reading does."""

    def on_close() -> None:
        # The client's own iterator closes the response when it is collected, too.
        if call.span.is_open and not is_reading():
            end_safely(lambda: over(call, chunks, CLOSED_EARLY))

    watch_close(response, on_close)


def watch_close(response: Any, on_close: Callable[[], None]) -> None:
    """Call back once when an HTTP response is closed, by the app or at its end."""
    close, aclose = response.close, response.aclose

    def forget() -> None:
        response.__dict__.pop("close", None)
        response.__dict__.pop("aclose", None)

    def watched_close() -> Any:
        forget()
        try:
            return close()
        finally:
            on_close()

    async def watched_aclose() -> Any:
        forget()
        try:
            return await aclose()
        finally:
            on_close()

    response.close, response.aclose = watched_close, watched_aclose


def over(call: Call, chunks: Chunks, outcome: str, exc: BaseException | None = None) -> None:
    """End the span of a stream with what its chunks have told."""
    if not call.span.is_open:
        return
    answer = None
    with guard("stream"):
        answer = chunks.answer(call.server.provider)
        is_empty = outcome == COMPLETED and call.first_chunk_ns is None
        if is_empty and call.endpoint.operation is not None and call.endpoint.is_create:
            answer.error_type = answer.error_type or UNEXPECTED_RESPONSE
    with guard("end of a stream"):
        call.over(answer, exc, stream_outcome=outcome)
