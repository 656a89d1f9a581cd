"""Own what runs around LangChain's and LangGraph's patched functions; `patches` says which.

The callback is made when the first run asks for it, so that LangChain is never imported for an app
that does not use it.
"""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from opentelemetry import context as otel_context

from tollway._guard import swallow
from tollway._setup import State
from tollway.langchain.fallbacks import current_attempt, number_attempts
from tollway.langchain.labels import fresh, labels_of_configurable
from tollway.langchain.runs import RUN_KEY, Run
from tollway.langchain.scopes import FALLBACKS, AsyncScopedStream, Scope, ScopedStream, called_with

if TYPE_CHECKING:
    from tollway.langchain.callback import TollwayCallback

_Args = tuple[Any, ...]
_Kwargs = dict[str, Any]


class CallbackVar:
    """Stands in LangChain's configure hooks for a context variable that has our callback."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self.made: TollwayCallback | None = None

    def get(self) -> TollwayCallback:
        """Return the callback, made on the first call."""
        return self.made if self.made is not None else self._make()

    def _make(self) -> TollwayCallback:
        from tollway.langchain.callback import TollwayCallback

        with self._lock:
            if self.made is None:
                self.made = TollwayCallback(self._state)
            return self.made


class Wrappers:
    """The wrappers of one activation, and the callback they share."""

    def __init__(self, state: State) -> None:
        self.callback_var = CallbackVar(state)

    def close(self) -> None:
        """End what is live."""
        if self.callback_var.made is not None:
            self.callback_var.made.close()

    def body(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return LangChain's entry into a run's own, copied context, making it ours as well.

        A plain function, not a `wrapt` one: a chain of five steps enters nine times.
        """
        callback_var = self.callback_var

        @functools.wraps(original)
        def enter(config: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
            result = original(config, *args, **kwargs)
            try:
                callback = callback_var.made
                run_id = getattr(config.get("callbacks"), "parent_run_id", None)
                if callback is not None and run_id is not None:
                    run = callback.runs.get(run_id)
                    if run is not None:
                        if config.get("configurable") or current_attempt.get() is not None:
                            _note_body(run, run_id, config)
                        if otel_context.get_current().get(RUN_KEY) is not run:
                            otel_context.attach(run.context)
            except Exception as exc:  # noqa: BLE001 - nothing of ours may reach the app
                swallow("langchain body", exc)
            return result

        return enter

    def model_invoke(
        self, wrapped: Callable[..., Any], _: Any, args: _Args, kwargs: _Kwargs
    ) -> Any:
        """Around a model's `invoke`, which hands all of its config on but the `configurable`."""
        configurable = _given_configurable(args, kwargs)
        if not labels_of_configurable(configurable):
            return wrapped(*args, **kwargs)
        token = called_with.set(configurable)
        try:
            return wrapped(*args, **kwargs)
        finally:
            called_with.reset(token)

    async def amodel_invoke(
        self, wrapped: Callable[..., Any], _: Any, args: _Args, kwargs: _Kwargs
    ) -> Any:
        configurable = _given_configurable(args, kwargs)
        if not labels_of_configurable(configurable):
            return await wrapped(*args, **kwargs)
        token = called_with.set(configurable)
        try:
            return await wrapped(*args, **kwargs)
        finally:
            called_with.reset(token)

    def model(self, wrapped: Callable[..., Any], model: Any, args: _Args, kwargs: _Kwargs) -> Any:
        return self._call(Scope("model", model), wrapped, args, kwargs)

    async def amodel(
        self, wrapped: Callable[..., Any], model: Any, args: _Args, kwargs: _Kwargs
    ) -> Any:
        return await self._acall(Scope("model", model), wrapped, args, kwargs)

    def model_stream(
        self, wrapped: Callable[..., Any], model: Any, args: _Args, kwargs: _Kwargs
    ) -> ScopedStream:
        return ScopedStream(
            wrapped(*args, **kwargs), _stream_scope(model, args, kwargs), self._cut_off
        )

    def amodel_stream(
        self, wrapped: Callable[..., Any], model: Any, args: _Args, kwargs: _Kwargs
    ) -> AsyncScopedStream:
        return AsyncScopedStream(
            wrapped(*args, **kwargs), _stream_scope(model, args, kwargs), self._cut_off
        )

    def retriever(
        self, wrapped: Callable[..., Any], retriever: Any, args: _Args, kwargs: _Kwargs
    ) -> Any:
        return self._call(_retriever_scope(retriever, args, kwargs), wrapped, args, kwargs)

    async def aretriever(
        self, wrapped: Callable[..., Any], retriever: Any, args: _Args, kwargs: _Kwargs
    ) -> Any:
        return await self._acall(_retriever_scope(retriever, args, kwargs), wrapped, args, kwargs)

    async def atool(
        self, wrapped: Callable[..., Any], tool: Any, args: _Args, kwargs: _Kwargs
    ) -> Any:
        return await self._acall(Scope("tool", tool), wrapped, args, kwargs)

    def graph_stream(
        self, wrapped: Callable[..., Any], graph: Any, args: _Args, kwargs: _Kwargs
    ) -> ScopedStream:
        return ScopedStream(
            wrapped(*args, **kwargs), _graph_scope(graph, args, kwargs), self._cut_off
        )

    def agraph_stream(
        self, wrapped: Callable[..., Any], graph: Any, args: _Args, kwargs: _Kwargs
    ) -> AsyncScopedStream:
        return AsyncScopedStream(
            wrapped(*args, **kwargs), _graph_scope(graph, args, kwargs), self._cut_off
        )

    def fallback_stream(
        self, wrapped: Callable[..., Any], fallbacks: Any, args: _Args, kwargs: _Kwargs
    ) -> ScopedStream:
        """Around a stream whose run LangChain forgets where it is closed at its first chunk."""
        return ScopedStream(wrapped(*args, **kwargs), Scope(FALLBACKS, fallbacks), self._cut_off)

    def afallback_stream(
        self, wrapped: Callable[..., Any], fallbacks: Any, args: _Args, kwargs: _Kwargs
    ) -> AsyncScopedStream:
        scope = Scope(FALLBACKS, fallbacks)
        return AsyncScopedStream(wrapped(*args, **kwargs), scope, self._cut_off)

    def runnables(self, original: property) -> property:
        """Return the property of `RunnableWithFallbacks` that lists attempts, numbering them."""
        read = original.fget
        if read is None:
            return original
        return property(lambda fallbacks: number_attempts(read(fallbacks)), doc=original.__doc__)

    async def async_llm_start(
        self, wrapped: Any, manager: Any, args: _Args, kwargs: _Kwargs
    ) -> Any:
        """Around the async start of plain LLMs: LangChain tells only inline callbacks of it there.

        It leaves out all others as soon as one is inline (1.7 and before), so ours, where it is the
        only inline one, steps aside and is told afterwards.
        """
        ours = self.callback_var.made
        inline = [handler for handler in manager.handlers if handler.run_inline]
        if ours is None or inline != [ours] or len(manager.handlers) == 1:
            return await wrapped(*args, **kwargs)
        others = copy.copy(manager)
        others.handlers = [handler for handler in manager.handlers if handler is not ours]
        started = await wrapped.__func__(others, *args, **kwargs)
        prompts = args[1] if len(args) > 1 else kwargs["prompts"]
        told = {k: v for k, v in kwargs.items() if k not in ("serialized", "prompts", "run_id")}
        for run, prompt in zip(started, prompts, strict=True):
            run.handlers = manager.handlers
            ours.on_llm_start(
                args[0] if args else kwargs["serialized"],
                [prompt],
                run_id=run.run_id,
                parent_run_id=manager.parent_run_id,
                tags=manager.tags,
                metadata=manager.metadata,
                **told,
            )
        return started

    def _call(self, scope: Scope, wrapped: Callable[..., Any], args: _Args, kwargs: _Kwargs) -> Any:
        tokens = scope.enter()
        try:
            return wrapped(*args, **kwargs)
        except BaseException as exc:
            self._cut_off(scope, exc)
            raise
        finally:
            scope.leave(tokens)

    async def _acall(
        self, scope: Scope, wrapped: Callable[..., Any], args: _Args, kwargs: _Kwargs
    ) -> Any:
        tokens = scope.enter()
        try:
            return await wrapped(*args, **kwargs)
        except BaseException as exc:
            self._cut_off(scope, exc)
            raise
        finally:
            scope.leave(tokens)

    def _cut_off(self, scope: Scope, error: BaseException) -> None:
        callback = self.callback_var.made
        if callback is not None:
            for run_id in scope.run_ids:
                callback.cut_off(run_id, error)


def _note_body(run: Run, run_id: UUID, config: Mapping[str, Any]) -> None:
    """Note what a run's config says that its start did not: its session, a fallback's run."""
    attempt = current_attempt.get()
    if attempt is not None and attempt.run is None:
        attempt.run = run
    configurable = config.get("configurable")
    if configurable and run.run_id == run_id:
        labels = fresh(labels_of_configurable(configurable), run.given)
        if labels:
            run.label(labels)


def _stream_scope(model: Any, args: _Args, kwargs: _Kwargs) -> Scope:
    return Scope("model", model, _given_configurable(args, kwargs), is_stream=True)


def _retriever_scope(retriever: Any, args: _Args, kwargs: _Kwargs) -> Scope:
    return Scope("retriever", retriever, _given_configurable(args, kwargs))


def _graph_scope(graph: Any, args: _Args, kwargs: _Kwargs) -> Scope:
    """Return a graph's scope, with the `configurable` of its call over the one bound to it."""
    bound = _of_config(getattr(graph, "config", None))
    return Scope("graph", graph, {**bound, **_given_configurable(args, kwargs)})


def _given_configurable(args: _Args, kwargs: _Kwargs) -> Mapping[str, Any]:
    """Return the `configurable` of the config that a Runnable's method is called with."""
    return _of_config(args[1] if len(args) > 1 else kwargs.get("config"))


def _of_config(config: Any) -> Mapping[str, Any]:
    configurable = config.get("configurable") if isinstance(config, Mapping) else None
    return configurable if isinstance(configurable, Mapping) else {}
