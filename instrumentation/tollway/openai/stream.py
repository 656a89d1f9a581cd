"""Own the watching of a parsed stream: the app's object stays the client's own.

Only the iterator inside the stream is replaced, and the response's close is watched; each of them
goes on doing what it did.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from time import perf_counter_ns
from typing import Any

from tollway._guard import guard, swallow
from tollway._span import end_safely
from tollway.openai import usage_option
from tollway.openai.call import Call
from tollway.openai.endpoints import Chunks

COMPLETED = "completed"
CLOSED_EARLY = "closed_early"
ABANDONED = "abandoned"
CANCELLED = "cancelled"
FAILED = "failed"


class _Watch:
    """What the watched iterators of both kinds share."""

    __slots__ = ("_add", "_call", "_chunks", "_hides_usage", "_inner", "_is_inside")

    def __init__(self, inner: Any, call: Call, chunks: Chunks) -> None:
        self._inner = inner
        self._call = call
        self._chunks = chunks
        self._add = chunks.add
        self._hides_usage = call.usage_asked
        self._is_inside = False

    def __getattr__(self, name: str) -> Any:
        # close, send, throw, aclose, ag_running, …: whatever the client's own iterator has.
        return getattr(object.__getattribute__(self, "_inner"), name)

    def _took(self, item: Any, since_ns: int) -> bool:
        """Take one chunk; return whether the app is to see it."""
        call = self._call
        now_ns = perf_counter_ns()
        call.wait_ns += now_ns - since_ns
        self._is_inside = False
        if call.first_chunk_ns is None:
            call.first_chunk_ns = now_ns - call.start_ns
            if self._hides_usage:
                usage_option.learn(call.server, takes_option=True)
        try:
            self._add(item)
            return not (self._hides_usage and self._chunks.is_usage_only(item))
        except Exception as exc:  # noqa: BLE001 - a chunk like no other must reach the app all the same
            swallow("stream chunk", exc)
            return True

    def _ended(self, since_ns: int) -> None:
        self._call.wait_ns += perf_counter_ns() - since_ns
        self._is_inside = False
        over(self._call, self._chunks, COMPLETED)

    def _broke(self, exc: BaseException, since_ns: int) -> None:
        self._call.wait_ns += perf_counter_ns() - since_ns
        self._is_inside = False
        if isinstance(exc, Exception):
            over(self._call, self._chunks, FAILED, exc)
        else:
            # Cancelled tasks and interrupts: the app's own choice, and no fault of the provider.
            over(self._call, self._chunks, CANCELLED)

    def on_close(self) -> None:
        """Hear that the response was closed; while a chunk is read, the reading tells the end."""
        if not self._is_inside:
            over(self._call, self._chunks, CLOSED_EARLY)

    def __del__(self) -> None:
        call, chunks = self._call, self._chunks
        if call.span.is_open:
            end_safely(lambda: over(call, chunks, ABANDONED))


class WatchedIterator(_Watch):
    """The chunks of a sync stream on their way to the app."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while True:
            since_ns = perf_counter_ns()
            self._is_inside = True
            try:
                item = self._inner.__next__()
            except StopIteration:
                self._ended(since_ns)
                raise
            except BaseException as exc:
                self._broke(exc, since_ns)
                raise
            if self._took(item, since_ns):
                return item


class WatchedAsyncIterator(_Watch):
    """The chunks of an async stream on their way to the app."""

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while True:
            since_ns = perf_counter_ns()
            self._is_inside = True
            try:
                item = await self._inner.__anext__()
            except StopAsyncIteration:
                self._ended(since_ns)
                raise
            except BaseException as exc:
                self._broke(exc, since_ns)
                raise
            if self._took(item, since_ns):
                return item


def watch_stream(stream: Any, call: Call) -> None:
    """Watch a client's Stream or AsyncStream until it is over, however it ends."""
    inner = stream._iterator
    chunks = call.endpoint.chunks()
    kind = WatchedAsyncIterator if hasattr(inner, "__anext__") else WatchedIterator
    stream._iterator = watched = kind(inner, call, chunks)
    watch_close(stream.response, watched.on_close)


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
    with guard("end of a stream"):
        call.over(answer, exc, stream_outcome=outcome)
