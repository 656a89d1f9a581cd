"""Own the blocks an app writes: `route` and `session`, entered by `with` or as decorators.

What a block means (its labels) is `_context`'s; this module only enters and leaves it.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from opentelemetry import context as otel_context

from tollway import attributes as attr
from tollway._context import Block, current_scope, with_labels

P = ParamSpec("P")
R = TypeVar("R")


class LabelledBlock:
    """A labelled block of code: a context manager, sync and async, and a decorator.

    One object may be entered many times, in many threads and tasks at once.
    """

    __slots__ = ("_labels",)

    def __init__(self, labels: Mapping[str, object]) -> None:
        self._labels = labels

    def __enter__(self) -> Block:
        block = Block(self)
        block.token = otel_context.attach(with_labels(self._labels, block=block))
        return block

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The token is found through the context, so that leaving in a context other than the
        # one entered in (an async generator closed by the loop, say) detaches nothing there.
        scope = current_scope()
        for block in reversed(scope.blocks if scope else ()):
            if block.owner is self and block.token is not None:
                token, block.token = block.token, None
                otel_context.detach(token)
                return

    async def __aenter__(self) -> Block:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc, traceback)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function, coroutine function or (async) generator function."""
        import inspect  # 10 ms, for the few apps that decorate

        if inspect.isasyncgenfunction(function):
            wrapper: Callable[..., Any] = _async_generator(self, function)
        elif inspect.isgeneratorfunction(function):
            wrapper = _generator(self, function)
        elif inspect.iscoroutinefunction(function):
            wrapper = _coroutine(self, function)
        else:
            wrapper = _plain(self, function)
        return cast("Callable[P, R]", functools.wraps(function)(wrapper))


def _plain(block: LabelledBlock, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with block:
            return function(*args, **kwargs)

    return call


def _coroutine(
    block: LabelledBlock, function: Callable[..., Awaitable[Any]]
) -> Callable[..., Awaitable[Any]]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with block:
            return await function(*args, **kwargs)

    return call


def _generator(
    block: LabelledBlock, function: Callable[..., Any]
) -> Callable[..., Generator[Any, Any, Any]]:
    # The block is entered for each step and left at each yield: a generator shares its caller's
    # context, so a block kept open across a yield would label the caller's own spans.
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        inner = function(*args, **kwargs)
        sent: Any = None
        step = inner.send
        while True:
            try:
                with block:
                    item = step(sent)
            except StopIteration as stop:
                return stop.value
            try:
                sent, step = (yield item), inner.send
            except GeneratorExit:
                inner.close()
                raise
            except BaseException as exc:  # noqa: BLE001 - handed to the generator it is meant for
                sent, step = exc, inner.throw

    return call


def _async_generator(
    block: LabelledBlock, function: Callable[..., Any]
) -> Callable[..., AsyncIterator[Any]]:
    async def call(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        inner = function(*args, **kwargs)
        sent: Any = None
        step = inner.asend
        while True:
            try:
                with block:
                    item = await step(sent)
            except StopAsyncIteration:
                return
            try:
                sent, step = (yield item), inner.asend
            except GeneratorExit:
                await inner.aclose()
                raise
            except BaseException as exc:  # noqa: BLE001 - handed to the generator it is meant for
                sent, step = exc, inner.athrow

    return call


def route(
    name: str,
    cohort: str | None = None,
    variant: str | None = None,
    *,
    pair_id: str | None = None,
    shadow: bool | None = None,
) -> LabelledBlock:
    """Say which route, cohort and variant the spans started inside serve.

    Labels that are not given are taken from the enclosing block. `with` yields an object whose
    `trace_id` is the hex id of the trace last started inside. pair_id: same input, both variants.
    shadow: mirrored traffic, an experiment's cost and not the user's.
    """
    return LabelledBlock(
        {
            attr.ROUTE: name,
            attr.COHORT: cohort,
            attr.VARIANT: variant,
            attr.PAIR_ID: pair_id,
            attr.SHADOW: shadow,
        }
    )


def session(id: str, user: str | None = None) -> LabelledBlock:
    """Say which session, and which user, the spans started inside belong to."""
    return LabelledBlock({attr.SESSION_ID: id, attr.USER_ID: user})
