"""Own the frames of calls that LangChain starts in no context of their own.

LangChain runs the body of a Runnable or tool in a copied context, where `wrappers` sets ours and
nobody needs to take it back. A chat model, a retriever and a graph run in the caller's. A `Scope`
is entered and left by one frame around such a call, so whatever the callback attaches in between
is undone in the context it was done in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any
from uuid import UUID

import wrapt
from opentelemetry import context as otel_context
from opentelemetry.context import Context

from tollway._context import LlmCallOwner, llm_call_owner

if TYPE_CHECKING:
    from tollway.langchain.runs import Run

CutOff = Callable[["Scope", BaseException], None]
_Tokens = tuple[Token["Scope | None"], Token[Context], Token[LlmCallOwner | None]]


called_with: ContextVar[Mapping[str, Any] | None] = ContextVar(
    "tollway_langchain_configurable", default=None
)
"""The `configurable` of the call that the running code makes, where it names a session."""


FALLBACKS = "fallbacks"
_OF_CHAINS = frozenset({FALLBACKS, "graph"})


class Scope:
    """One call of a component, and the run that the callback started in it."""

    __slots__ = (
        "_busy_ns",
        "_step_ns",
        "component",
        "configurable",
        "is_stream",
        "kind",
        "run",
        "run_id",
        "siblings",
    )

    def __init__(
        self,
        kind: str,
        component: Any,
        configurable: Mapping[str, Any] | None = None,
        *,
        is_stream: bool = False,
    ) -> None:
        self.kind = kind
        self.component = component
        self.configurable: Mapping[str, Any] = configurable or called_with.get() or {}
        self.is_stream = is_stream
        self.run: Run | None = None
        self.run_id: UUID | None = None
        """The id of that run where it has no entry of its own."""
        self.siblings: list[Run] = []
        """The runs of further prompts, where one call answers many."""
        self._busy_ns = 0
        self._step_ns = 0

    def enter(self) -> _Tokens:
        """Open the scope in the current context; give what it returns to `leave`, in the same."""
        self._step_ns = time.perf_counter_ns()
        return (
            current_scope.set(self),
            otel_context.attach(otel_context.get_current()),
            llm_call_owner.set(None),
        )

    def leave(self, tokens: _Tokens) -> None:
        """Close the scope: the context is again what it was, whatever was attached inside."""
        self.pause()
        try:
            current_scope.reset(tokens[0])
        except ValueError:
            # A suspended frame that is torn down from elsewhere: this context has nothing of ours.
            return
        otel_context.detach(tokens[1])
        llm_call_owner.reset(tokens[2])

    @property
    def run_ids(self) -> list[UUID]:
        """The ids of all runs that were started in it."""
        first = [] if self.run_id is None else [self.run_id]
        own = [] if self.run is None else [self.run.run_id]
        return [*first, *own, *(run.run_id for run in self.siblings)]

    @property
    def waits_for_chain(self) -> bool:
        """Whether the next chain run is this scope's own."""
        return self.kind in _OF_CHAINS and self.run is None and self.run_id is None

    @property
    def is_left_open(self) -> bool:
        """Whether the component forgets its run where its stream is dropped."""
        return self.kind == FALLBACKS and self.run_id is not None

    def resume(self) -> None:
        """Note that the component works again, after the app had its chunk."""
        self._step_ns = time.perf_counter_ns()

    def pause(self) -> None:
        """Note that the app has its turn."""
        self._busy_ns += time.perf_counter_ns() - self._step_ns

    @property
    def busy_ns(self) -> int:
        """Nanoseconds that the component took so far, asked for while it works."""
        return self._busy_ns + time.perf_counter_ns() - self._step_ns


current_scope: ContextVar[Scope | None] = ContextVar("tollway_langchain_scope", default=None)


def of_kind(kind: str) -> Scope | None:
    """Return the scope around the running code, where it is of a kind."""
    scope = current_scope.get()
    return scope if scope is not None and scope.kind == kind else None


def untaken(kind: str) -> Scope | None:
    """Return the scope around the running code where it is of a kind and has no run yet."""
    scope = of_kind(kind)
    return scope if scope is not None and scope.run is None else None


def take(kind: str, run: Run) -> bool:
    """Note the run of the scope around the running code; tell whether there is such a scope."""
    scope = untaken(kind)
    if scope is None:
        return False
    scope.run = run
    return True


def note_fallbacks(run_id: UUID) -> None:
    """Note the run of a `with_fallbacks` that streams, shown or not."""
    scope = of_kind(FALLBACKS)
    if scope is not None and scope.run_id is None:
        scope.run_id = run_id


if TYPE_CHECKING:
    _Proxy = wrapt.ObjectProxy[Any]
else:
    _Proxy = wrapt.ObjectProxy  # wrapt 1 has no type parameters


class ScopedStream(_Proxy):
    """A stream whose first step, in which the call is made, runs inside a scope.

    A proxy, not a generator of our own: closing and collecting it are the stream's business.
    cut_off: told of the scope and the error where the stream breaks off or is closed.
    """

    def __init__(self, stream: Any, scope: Scope, cut_off: CutOff) -> None:
        super().__init__(stream)
        self._self_scope = scope
        self._self_cut_off = cut_off
        self._self_is_started = False

    def __iter__(self) -> ScopedStream:
        return self

    def __next__(self) -> Any:
        try:
            return self._self_step()
        except StopIteration:
            raise
        except BaseException as exc:
            self._self_cut_off(self._self_scope, exc)
            raise

    def close(self) -> None:
        try:
            self.__wrapped__.close()
        finally:
            self._self_cut_off(self._self_scope, GeneratorExit())

    def __del__(self) -> None:
        scope = self._self_scope
        if scope.is_left_open:
            self._self_cut_off(scope, GeneratorExit())

    def _self_step(self) -> Any:
        scope = self._self_scope
        if self._self_is_started:
            scope.resume()
            try:
                return next(self.__wrapped__)
            finally:
                scope.pause()
        self._self_is_started = True
        tokens = scope.enter()
        try:
            return next(self.__wrapped__)
        finally:
            scope.leave(tokens)


class AsyncScopedStream(_Proxy):
    """The same for an async stream."""

    def __init__(self, stream: Any, scope: Scope, cut_off: CutOff) -> None:
        super().__init__(stream)
        self._self_scope = scope
        self._self_cut_off = cut_off
        self._self_is_started = False

    def __aiter__(self) -> AsyncScopedStream:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._self_step()
        except StopAsyncIteration:
            raise
        except BaseException as exc:
            self._self_cut_off(self._self_scope, exc)
            raise

    async def aclose(self) -> None:
        try:
            await self.__wrapped__.aclose()
        finally:
            self._self_cut_off(self._self_scope, GeneratorExit())

    def __del__(self) -> None:
        scope = self._self_scope
        if scope.is_left_open:
            self._self_cut_off(scope, GeneratorExit())

    async def _self_step(self) -> Any:
        scope = self._self_scope
        if self._self_is_started:
            scope.resume()
            try:
                return await anext(self.__wrapped__)
            finally:
                scope.pause()
        self._self_is_started = True
        tokens = scope.enter()
        try:
            return await anext(self.__wrapped__)
        finally:
            scope.leave(tokens)
