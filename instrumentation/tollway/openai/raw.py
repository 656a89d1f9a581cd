"""Own the watching of raw responses: bytes that the app reads, parses or never touches.

The app's response object stays the client's own; the bytes are looked at as they pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from time import perf_counter_ns
from typing import Any

from tollway import attributes as attr
from tollway._guard import guard, swallow
from tollway._span import end_safely
from tollway.openai import stream as streams
from tollway.openai.call import Call
from tollway.openai.endpoints import Chunks
from tollway.openai.media import plain_answer

MAX_COLLECTED_BYTES = 8 * 1024 * 1024
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


def watch_raw(response: Any, call: Call, *, is_stream: bool) -> None:
    """Watch an HTTP response until its body is read or it is closed."""
    kind = _content_type(response)
    # Speech can be asked for as events without being a stream to the client.
    is_events = is_stream or kind == "text/event-stream"
    body = Body(call, is_events=is_events, is_json=_is_json(kind))
    if not is_stream and hasattr(response, "_content"):
        body.take(response.content)
        body.over(streams.COMPLETED, None)
        return
    _watch_bytes(response, body)
    streams.watch_close(response, body.on_close)


def _content_type(response: Any) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _is_json(kind: str) -> bool:
    return kind.endswith("json") or kind.startswith("text/") or not kind


def _watch_bytes(response: Any, body: Body) -> None:
    read, aread = response.iter_bytes, response.aiter_bytes

    def iter_bytes(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        return WatchedBytes(read(*args, **kwargs), body)

    def aiter_bytes(*args: Any, **kwargs: Any) -> AsyncIterator[bytes]:
        return WatchedAsyncBytes(aread(*args, **kwargs), body)

    response.iter_bytes = iter_bytes
    response.aiter_bytes = aiter_bytes
    body.forget = response.__dict__


class Body:
    """What has passed of a raw body, and the call whose answer it is."""

    __slots__ = (
        "_call",
        "_chunks",
        "_collected",
        "_held",
        "_is_done",
        "_is_json",
        "_size",
        "forget",
        "is_inside",
    )

    def __init__(self, call: Call, *, is_events: bool, is_json: bool) -> None:
        self._call = call
        self._chunks: Chunks | None = call.endpoint.chunks() if is_events else None
        self._is_done = False
        self._is_json = is_json
        self._collected: list[bytes] = []
        self._held = b""
        self._size = 0
        self.is_inside = False
        self.forget: dict[str, Any] = {}
        """The response's own attributes; the watching ones are taken out when all is over."""

    def __del__(self) -> None:
        if self._call.span.is_open:
            end_safely(lambda: self.over(streams.ABANDONED, None))

    def take(self, data: bytes) -> bytes:
        """Take bytes that arrived; return those that the app is to see now."""
        self._size += len(data)
        if self._chunks is not None:
            return self._take_events(data)
        if self._is_json and self._size <= MAX_COLLECTED_BYTES:
            self._collected.append(data)
        return data

    def rest(self) -> bytes:
        """Return what is held back at the end of the body: an event that was never finished."""
        held, self._held = self._held, b""
        return held if self._call.usage_asked else b""

    def passed(self, since_ns: int) -> None:
        """Note the time that the provider took for the bytes that just arrived."""
        self._call.wait_ns += perf_counter_ns() - since_ns

    def on_close(self) -> None:
        """Hear that the response was closed."""
        if self._call.span.is_open and not self.is_inside:
            # The client closes at the word that ends the stream, and reads no further.
            outcome = streams.COMPLETED if self._is_done else streams.CLOSED_EARLY
            end_safely(lambda: self.over(outcome, None))

    def over(self, outcome: str, exc: BaseException | None) -> None:
        """End the call's span with what the bytes have told."""
        call = self._call
        self.forget.pop("iter_bytes", None)
        self.forget.pop("aiter_bytes", None)
        if not call.span.is_open:
            return
        if self._chunks is not None:
            streams.over(call, self._chunks, outcome, exc)
            return
        answer = None
        with guard("raw body"):
            is_whole = outcome == streams.COMPLETED and self._size <= MAX_COLLECTED_BYTES
            if self._is_json and is_whole:
                answer = call.read(self._json())
            elif call.endpoint.output_type == "speech":
                answer = plain_answer(None, call.server.provider)
                answer.extra[attr.AUDIO_BYTES] = self._size
        call.over(answer, exc)

    def _json(self) -> Any:
        whole = b"".join(self._collected)
        try:
            return json.loads(whole)
        except (ValueError, RecursionError):
            return whole.decode(errors="replace")  # a transcription as plain text, or HTML

    def _take_events(self, data: bytes) -> bytes:
        """Look at the events that are whole, and drop the one that answers only us."""
        held = self._held + data
        kept: list[bytes] = []
        start = 0
        # From the last three bytes on: what was held has been searched.
        for match in _EVENT_END.finditer(held, max(0, len(self._held) - 3)):
            event = held[start : match.end()]
            start = match.end()
            if self._is_for_app(event):
                kept.append(event)
        self._held = held[start:]
        return b"".join(kept) if self._call.usage_asked else data

    def _is_for_app(self, event: bytes) -> bool:
        payload = b"\n".join(
            line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")
        )
        if not payload or self._chunks is None:
            return True
        if payload.startswith(b"[DONE]"):
            self._is_done = True
            return True
        if self._call.first_chunk_ns is None:
            self._call.first_chunk_ns = perf_counter_ns() - self._call.start_ns
        try:
            told = json.loads(payload)
        except (ValueError, RecursionError):
            return True
        try:
            return not (self._chunks.add(told) and self._call.usage_asked)
        except Exception as exc:  # noqa: BLE001 - an event like no other must reach the app all the same
            swallow("raw event", exc)
            return True


class _Watched:
    """What the watched byte iterators of both kinds share."""

    __slots__ = ("_body", "_inner", "_is_over")

    def __init__(self, inner: Any, body: Body) -> None:
        self._inner = inner
        self._body = body
        self._is_over = False

    def _broke(self, exc: BaseException) -> None:
        self._body.is_inside = False
        is_failure = isinstance(exc, Exception)
        outcome = streams.FAILED if is_failure else streams.CANCELLED
        self._body.over(outcome, exc if is_failure else None)

    def _end(self) -> bytes:
        self._is_over = True
        self._body.is_inside = False
        rest = self._body.rest()
        self._body.over(streams.COMPLETED, None)
        return rest


class WatchedBytes(_Watched):
    """The bytes of a sync body on their way to the app."""

    __slots__ = ()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while not self._is_over:
            since_ns = perf_counter_ns()
            self._body.is_inside = True
            try:
                data = next(self._inner)
            except StopIteration:
                self._body.passed(since_ns)
                rest = self._end()
                if rest:
                    return rest
                raise
            except BaseException as exc:
                self._broke(exc)
                raise
            self._body.is_inside = False
            self._body.passed(since_ns)
            seen = self._body.take(data)
            if seen or not data:
                return seen
        raise StopIteration


class WatchedAsyncBytes(_Watched):
    """The bytes of an async body on their way to the app."""

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._is_over:
            since_ns = perf_counter_ns()
            self._body.is_inside = True
            try:
                data = await self._inner.__anext__()
            except StopAsyncIteration:
                self._body.passed(since_ns)
                rest = self._end()
                if rest:
                    return rest
                raise
            except BaseException as exc:
                self._broke(exc)
                raise
            self._body.is_inside = False
            self._body.passed(since_ns)
            seen = self._body.take(data)
            if seen or not data:
                return seen
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the client's own iterator, as the app would have."""
        await self._inner.aclose()
