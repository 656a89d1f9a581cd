"""Own the span of one model call: who tells it, from what, and with which numbers.

Where an instrumented OpenAI client makes the call, that client's span is the LLM span and none is
started here; the call only hands over its parent and what LangChain knows of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langchain_core.outputs import LLMResult
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, set_span_in_context

from tollway import attributes as attr
from tollway._context import LlmCallOwner
from tollway._guard import guard
from tollway._setup import State
from tollway._span import CallSpan
from tollway.langchain.endings import COMPLETED, end_with_error
from tollway.langchain.generations import answer_attributes, is_cache_hit
from tollway.langchain.messages import messages_json, tools_json
from tollway.langchain.providers import provider_name
from tollway.langchain.runs import NOTHING, Run
from tollway.langchain.scopes import Scope

_ANSWER = guard("langchain answer")
_MESSAGES = guard("langchain messages")
CHAT = "chat"
COMPLETION = "text_completion"

_MODEL_KEYS = ("model", "model_name", "model_id", "azure_deployment", "deployment_name")
_CLIENT_FIELDS = ("root_client", "root_async_client", "client", "async_client")
_NUMBERS = {
    "temperature": attr.GEN_AI_REQUEST_TEMPERATURE,
    "ls_temperature": attr.GEN_AI_REQUEST_TEMPERATURE,
    "max_tokens": attr.GEN_AI_REQUEST_MAX_TOKENS,
    "max_completion_tokens": attr.GEN_AI_REQUEST_MAX_TOKENS,
    "ls_max_tokens": attr.GEN_AI_REQUEST_MAX_TOKENS,
    "top_p": attr.GEN_AI_REQUEST_TOP_P,
    "top_k": attr.GEN_AI_REQUEST_TOP_K,
    "seed": attr.GEN_AI_REQUEST_SEED,
    "frequency_penalty": attr.GEN_AI_REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": attr.GEN_AI_REQUEST_PRESENCE_PENALTY,
}


class LlmRun(Run):
    """A live model call."""

    input_name = attr.GEN_AI_INPUT_MESSAGES
    is_told_apart = True

    def __init__(
        self, run_id: UUID, kind: str, parent: Run | None, prompt: Any, scope: Scope | None
    ) -> None:
        super().__init__(run_id, kind, parent)
        self.facts: Mapping[str, Any] = NOTHING
        """What LangChain knows of the call, whoever tells it."""
        self.attributes: dict[str, Any] = {}
        self.owner: LlmCallOwner | None = None
        self._prompt = prompt
        self._scope = scope
        self.tools: Any = None
        """The tools offered, as the provider is told of them."""
        self._started_ns = time.time_ns()
        self._first_token_ns: int | None = None

    def begin(self, state: State, context: Context, owner: LlmCallOwner | None) -> None:
        """Start the span, unless the call's client will; owner: of a call made for many prompts."""
        if self._scope is not None and self._scope.is_stream:
            self.attributes[attr.GEN_AI_REQUEST_STREAM] = True
        self.context = context
        if not (state.openai_active and self._has_openai_client()):
            self._open(state, context)
        # Inside a scope the context that is current then is the better parent: spans of the app's
        # own may lie in between.
        parent = self.context if self._scope is None else None
        self.owner = owner or LlmCallOwner(parent, self.facts)

    def note_token(self) -> None:
        """Note that an answer arrives: the request is out, later ones are not part of this call."""
        if self._first_token_ns is None:
            self._first_token_ns = time.time_ns()
            if self.owner is not None:
                self.owner.is_open = False

    def end(self, state: State, response: LLMResult | None, error: BaseException | None) -> None:
        """Finish the span with what the answer says; the span of the call's client is not ours."""
        is_told = self.owner is not None and self.owner.is_taken
        if self.owner is not None:
            self.owner.is_open = False
        if self.call is None:
            if is_told:
                return
            self._open(state, self.context)
        call = self.call
        if call is None or not call.is_open:
            return
        if call.is_recording:
            with _ANSWER:
                self._answer(state, call, response, error, is_told=is_told)
            if error is not None:
                is_stream = self._scope is not None and self._scope.is_stream
                end_with_error(call, error, is_request=not is_stream)
        call.finish()
        if state.metrics.is_live and not is_told:
            self._measure(state, error)

    def _open(self, state: State, context: Context) -> None:
        model = self.attributes.get(attr.GEN_AI_REQUEST_MODEL)
        span = state.tracer.start_span(
            f"{self.kind} {model or self.attributes[attr.LANGCHAIN_RUN_NAME]}",
            context=context,
            kind=SpanKind.CLIENT,
            attributes=self.attributes,
            start_time=self._started_ns,
        )
        self.call = CallSpan(span, state.content)
        self.context = set_span_in_context(span, context)
        if self.call.is_recording and state.content.enabled and self._prompt is not None:
            with _MESSAGES:
                self.input = state.content.messages(_prompt_json(self._prompt))
                if state.capture_tool_definitions and self.tools:
                    tools = state.content.json(tools_json(self.tools))
                    self.call.set(attr.GEN_AI_TOOL_DEFINITIONS, tools)
        self._prompt = None

    def _answer(
        self,
        state: State,
        call: CallSpan,
        response: LLMResult | None,
        error: BaseException | None,
        *,
        is_told: bool,
    ) -> None:
        found = self.last_attributes(attr.LLM_LATENCY_MS, self._latency_ns() / 1e6)
        if self._first_token_ns is not None:
            seconds = (self._first_token_ns - self._started_ns) / 1e9
            found[attr.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK] = seconds
            if error is None:
                found[attr.STREAM_OUTCOME] = COMPLETED
        if response is not None:
            is_cached = is_cache_hit(response)
            if is_cached:
                found[attr.LANGCHAIN_CACHE_HIT] = True
            with_usage = not (is_told or is_cached)
            found.update(answer_attributes(response, state.content, with_usage=with_usage))
        call.set_all(found)
        self.attributes.update(found)

    def _measure(self, state: State, error: BaseException | None) -> None:
        names = (
            attr.GEN_AI_OPERATION_NAME,
            attr.GEN_AI_PROVIDER_NAME,
            attr.GEN_AI_REQUEST_MODEL,
            attr.GEN_AI_RESPONSE_MODEL,
        )
        labels = {name: self.attributes[name] for name in names if name in self.attributes}
        if error is not None and not isinstance(error, GeneratorExit):
            labels[attr.ERROR_TYPE] = type(error).__qualname__
        state.metrics.record(
            labels,
            duration_s=self._latency_ns() / 1e9,
            first_chunk_s=self.attributes.get(attr.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK),
            input_tokens=self.attributes.get(attr.GEN_AI_USAGE_INPUT_TOKENS),
            output_tokens=self.attributes.get(attr.GEN_AI_USAGE_OUTPUT_TOKENS),
        )

    def _latency_ns(self) -> int:
        if self._scope is not None and self._scope.is_stream:
            return self._scope.busy_ns
        return time.time_ns() - self._started_ns

    def _has_openai_client(self) -> bool:
        if self._scope is None:
            # The model itself is not at hand; at worst the span is started as the call ends.
            return str(self.attributes.get(attr.GEN_AI_PROVIDER_NAME)).endswith("openai")
        fields = getattr(self._scope.component, "__dict__", {})
        for name in _CLIENT_FIELDS:
            client = fields.get(name)
            if client is not None and type(client).__module__.partition(".")[0] == "openai":
                return True
        return False


def request_attributes(
    operation: str, metadata: Mapping[str, Any], params: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the request says: operation, provider, model, parameters."""
    found: dict[str, Any] = {
        attr.GEN_AI_OPERATION_NAME: operation,
        attr.GEN_AI_PROVIDER_NAME: provider_name(metadata, params),
    }
    model = _model(metadata, params)
    if model is not None:
        found[attr.GEN_AI_REQUEST_MODEL] = model
    for source in (metadata, params):
        for key in source:
            attribute = _NUMBERS.get(key)
            if attribute is not None:
                value = source[key]
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    found[attribute] = value
    stop = params.get("stop") or metadata.get("ls_stop")
    if isinstance(stop, (list, tuple)) and stop:
        found[attr.GEN_AI_REQUEST_STOP_SEQUENCES] = [str(word) for word in stop]
    tier = params.get("service_tier")
    if isinstance(tier, str) and tier:
        found[attr.OPENAI_REQUEST_SERVICE_TIER] = tier
    return found


def _model(metadata: Mapping[str, Any], params: Mapping[str, Any]) -> str | None:
    told = metadata.get("ls_model_name")
    for value in (told, *(params.get(key) for key in _MODEL_KEYS)):
        if isinstance(value, str) and value:
            return value
    return None


def _prompt_json(prompt: Any) -> Any:
    if isinstance(prompt, str):
        return [{"role": "user", "parts": [{"type": "text", "content": prompt}]}]
    return messages_json(prompt)
