"""Own the one callback that LangChain tells about every run; spans and contexts follow from it."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from langchain_core.callbacks.base import BaseCallbackHandler
from langchain_core.outputs import LLMResult
from opentelemetry import context as otel_context
from opentelemetry.trace import set_span_in_context

from tollway import attributes as attr
from tollway._context import is_suppressed, llm_call_owner
from tollway._guard import guard, swallow
from tollway._setup import State
from tollway._span import CallSpan, end_orphans, end_safely
from tollway.langchain import chains, scopes, tool_runs
from tollway.langchain.endings import ABANDONED, end_with_error, tell_above
from tollway.langchain.fallbacks import current_attempt
from tollway.langchain.llm_calls import CHAT, COMPLETION, LlmRun, request_attributes
from tollway.langchain.runs import NOTHING, Run, Runs
from tollway.langchain.starts import Start, serialized_name

# A guard has no state of its own: one a hook, not one a call.
_CHAT_MODEL_START = guard("langchain chat model start")
_LLM_START = guard("langchain llm start")
_TOOL_START = guard("langchain tool start")
_TOOL_END = guard("langchain tool end")
_RETRIEVER_START = guard("langchain retriever start")
_LLM_END = guard("langchain llm end")
# Inside the others: what of a value or an answer cannot be read must not cost the span.
_VALUE = guard("langchain value")
_REQUEST = guard("langchain request")


class TollwayCallback(BaseCallbackHandler):
    """Turns LangChain's run events into spans; runs in the caller's own context, async too."""

    run_inline = True
    ignore_retry = True
    ignore_custom_event = True

    def __init__(self, state: State) -> None:
        self._state: State | None = state
        self.runs = Runs(_give_up)

    @property
    def raise_error(self) -> bool:  # type: ignore[override]  # a plain attribute there
        """Whether LangChain passes on what a hook raises: only under test, like `guard`."""
        return "PYTEST_CURRENT_TEST" in os.environ

    def close(self) -> None:
        """Take no more events, and end the spans of the runs still live."""
        self._state = None
        self.runs.clear()

    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        run_type: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        # Not a `with guard`: five chain runs of a small chain save 5 µs.
        try:
            state, ambient = self._state, otel_context.get_current()
            if state is None or is_suppressed(ambient):
                return
            named = name or serialized_name(serialized) or "chain"
            parent = self.runs.get(parent_run_id)
            if parent is not None and chains.is_plumbing(parent, named, tags, metadata):
                chains.start_plumbing(
                    state, self.runs, ambient, parent, run_id, named, tags, metadata, inputs
                )
                return
            end_orphans()
            start = Start(self.runs, ambient, run_id, parent_run_id, tags, metadata)
            chains.start_chain(state, start, named, run_type, inputs)
        except Exception as exc:  # noqa: BLE001 - nothing of ours may reach the app
            swallow("langchain chain start", exc)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._end(run_id, attr.OUTPUT_VALUE, outputs)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._end(run_id, error=error)

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[Any]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        with _CHAT_MODEL_START:
            prompt = messages[0] if messages else []
            self._start_llm(CHAT, serialized, prompt, run_id, kwargs)

    def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **kwargs: Any
    ) -> None:
        with _LLM_START:
            prompt = prompts[0] if prompts else ""
            self._start_llm(COMPLETION, serialized, prompt, run_id, kwargs)

    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        run = self.runs.get(run_id)
        if isinstance(run, LlmRun):
            run.note_token()

    def on_stream_event(self, event: Any, *, run_id: UUID, **kwargs: Any) -> None:
        run = self.runs.get(run_id)
        if isinstance(run, LlmRun):
            run.note_token()

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        self._end_llm(run_id, response, None)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._end_llm(run_id, kwargs.get("response"), error)

    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        inputs: dict[str, Any] | None = None,
        name: str | None = None,
        tool_call_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        with _TOOL_START:
            start, state = self._start(run_id, kwargs), self._state
            if start is None or state is None:
                return
            attributes = tool_runs.tool_attributes(start, serialized or {}, name, tool_call_id)
            run = Run(run_id, tool_runs.TOOL, start.parent)
            span_name = f"execute_tool {attributes[attr.GEN_AI_TOOL_NAME]}"
            call = start.show(state, run, span_name, attributes)
            scopes.take(tool_runs.TOOL, run)
            tool_runs.record_arguments(state, call, inputs, input_str)

    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        with _TOOL_END:
            run, state = self.runs.pop(run_id), self._state
            if run is not None and run.call is not None:
                if state is not None:
                    with _VALUE:
                        tool_runs.record_result(state, run.call, output)
                run.call.finish()

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._end(run_id, error=error)

    def on_retriever_start(
        self,
        serialized: dict[str, Any] | None,
        query: str,
        *,
        run_id: UUID,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        with _RETRIEVER_START:
            start, state = self._start(run_id, kwargs), self._state
            if start is None or state is None:
                return
            named = name or serialized_name(serialized) or tool_runs.RETRIEVER
            scope = scopes.untaken(tool_runs.RETRIEVER)
            if scope is not None and scope.configurable:
                start.configure(scope.configurable)
            run = Run(run_id, tool_runs.RETRIEVER, start.parent)
            attributes = tool_runs.retriever_attributes(start, named)
            call = start.show(state, run, f"retrieval {named}", attributes)
            if scopes.take(tool_runs.RETRIEVER, run):
                otel_context.attach(set_span_in_context(call.span, start.context))
            if call.is_recording and state.content.enabled:
                call.set(attr.GEN_AI_RETRIEVAL_QUERY_TEXT, state.content.text(query))

    def on_retriever_end(self, documents: Sequence[Any], *, run_id: UUID, **kwargs: Any) -> None:
        self._end(run_id, attr.GEN_AI_RETRIEVAL_DOCUMENTS, documents)

    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._end(run_id, error=error)

    def cut_off(self, run_id: UUID, error: BaseException) -> None:
        """End a run whose call raised past LangChain, which misses some; no matter if ended."""
        if isinstance(self.runs.get(run_id), LlmRun):
            self._end_llm(run_id, None, error)
        else:
            self._end(run_id, error=error)

    def _start(self, run_id: UUID, told: Mapping[str, Any]) -> Start | None:
        end_orphans()
        ambient = otel_context.get_current()
        if self._state is None or is_suppressed(ambient):
            return None
        get = told.get
        return Start(self.runs, ambient, run_id, get("parent_run_id"), get("tags"), get("metadata"))

    def _start_llm(
        self, operation: str, serialized: Any, prompt: Any, run_id: UUID, told: Mapping[str, Any]
    ) -> None:
        start, state = self._start(run_id, told), self._state
        if start is None or state is None:
            return
        scope = scopes.of_kind("model")
        if scope is not None and scope.configurable:
            start.configure(scope.configurable)
        run = LlmRun(run_id, operation, start.parent, prompt, scope)
        name = told.get("name") or serialized_name(serialized) or operation
        attempt = current_attempt.get()
        fallback = NOTHING if attempt is None else attempt.attributes()
        run.facts = {**start.attributes(operation, name), **fallback}
        params = told.get("invocation_params") or NOTHING
        run.attributes = dict(run.facts)
        with _REQUEST:
            run.attributes.update(request_attributes(operation, start.metadata or NOTHING, params))
            run.tools = params.get("tools")
        first = scope.run if scope is not None else None
        run.begin(state, start.context, first.owner if isinstance(first, LlmRun) else None)
        self.runs.put(run_id, run)
        llm_call_owner.set(run.owner)
        if scope is not None:
            if scope.run is None:
                scope.run = run
            else:
                # The requests to come are no more this prompt's than the first one's.
                scope.siblings.append(run)
            otel_context.attach(run.context if scope.run is run else start.context)

    def _end(
        self,
        run_id: UUID,
        attribute: str | None = None,
        value: Any = None,
        error: BaseException | None = None,
    ) -> None:
        try:
            run, state = self.runs.pop(run_id), self._state
            if run is None:
                return
            if error is not None and run.below and not isinstance(error, Exception):
                self._end_below(run, error)
            if error is not None and run.parent is not None:
                tell_above(run, error)
            call = run.call
            if call is None:
                return
            text: str | None = None
            if attribute and state is not None and call.is_recording and state.content.enabled:
                text = chains.output_text(state, run, value)
            found = run.last_attributes(attribute, text)
            if isinstance(error, GeneratorExit):
                end_safely(functools.partial(_finish, call, found, error))
            else:
                _finish(call, found, error)
        except Exception as exc:  # noqa: BLE001 - nothing of ours may reach the app
            swallow("langchain end", exc)

    def _end_below(self, run: Run, error: BaseException) -> None:
        """End what is left below a run that was cancelled or closed: LangChain forgets some."""
        for below in self.runs.pop_below(run):
            if below.call is not None:
                end = functools.partial(
                    _finish, below.call, below.last_attributes(None, None), error
                )
                end_safely(end)

    def _end_llm(
        self, run_id: UUID, response: LLMResult | None, error: BaseException | None
    ) -> None:
        with _LLM_END:
            run, state = self.runs.pop(run_id), self._state
            if state is not None and isinstance(run, LlmRun):
                if isinstance(error, GeneratorExit):
                    end_safely(functools.partial(run.end, state, response, error))
                else:
                    run.end(state, response, error)


def _finish(call: CallSpan, found: Mapping[str, Any], error: BaseException | None) -> None:
    call.set_all(found)
    if error is not None:
        end_with_error(call, error)
    call.finish()


def _give_up(run: Run) -> None:
    if run.call is not None:
        _finish(run.call, run.last_attributes(attr.STREAM_OUTCOME, ABANDONED), None)
