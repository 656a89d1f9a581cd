"""Own one call of a client: its span from start to finish, its times, its metrics.

What a body or an answer says is the extractors' knowledge; how a stream ends is `stream`'s.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from tollway import attributes as attr
from tollway._context import is_suppressed, llm_call_owner, stamps
from tollway._guard import guard
from tollway._span import CallSpan, end_orphans
from tollway.openai import usage_option
from tollway.openai.answer import Answer, answer_attributes
from tollway.openai.endpoints import Endpoint, endpoint_of
from tollway.openai.fields import fields, string
from tollway.openai.provider import Server, server_of
from tollway.openai.request import content_attributes, request_attributes, tool_definitions
from tollway.openai.responses import take_usage_once

if TYPE_CHECKING:
    from tollway._setup import State

CALL_KEY = otel_context.create_key("tollway-openai-call")
UNEXPECTED_RESPONSE = "unexpected_response"
_EMPTY: Mapping[str, Any] = {}


class Call:
    """One request of a client, from before it is sent until its answer is over."""

    __slots__ = (
        "attempts",
        "context",
        "endpoint",
        "first_chunk_ns",
        "is_told",
        "labels",
        "model",
        "options",
        "server",
        "span",
        "start_ns",
        "state",
        "usage_asked",
        "wait_ns",
    )

    def __init__(
        self, state: State, endpoint: Endpoint, server: Server, options: Any, span: CallSpan
    ) -> None:
        self.state = state
        self.endpoint = endpoint
        self.server = server
        self.options = options
        self.span = span
        self.model: str | None = None
        self.context: Context | None = None
        self.labels: Mapping[str, Any] = _EMPTY
        self.attempts = 1
        self.usage_asked = False
        self.wait_ns = 0
        self.first_chunk_ns: int | None = None
        self.is_told = span.is_recording or state.metrics.is_live
        self.start_ns = perf_counter_ns()

    def returned(self) -> None:
        """Note that the request returned: what it took so far, the provider took."""
        self.wait_ns += perf_counter_ns() - self.start_ns
        self.context = None  # it holds this call, and a cycle would wait for the collector

    def failed(self, exc: BaseException) -> None:
        """End the span of a request that raised."""
        self.returned()
        with guard("failed call"):
            response = getattr(exc, "response", None)
            self._response_facts(response)
            self.over(None, exc)

    def over(
        self,
        answer: Answer | None,
        exc: BaseException | None = None,
        *,
        end_ns: int | None = None,
        stream_outcome: str | None = None,
    ) -> None:
        """End the span, once, with what is known of the answer."""
        if not self.span.claim_end():
            return
        try:
            self._tell(answer, exc, stream_outcome)
        finally:
            self.span.span.end(end_ns)

    def read(self, result: Any) -> Answer:
        """Read a whole answer: the client's model of it, or its JSON."""
        answer = self.endpoint.read_answer(result, self.server.provider)
        if self.endpoint.answers_object and not fields(result):
            # HTML or an empty body under status 200: the client hands it over as it is.
            answer.error_type = UNEXPECTED_RESPONSE
        return answer

    def request_facts(self, result: Any) -> None:
        """Tell what the HTTP response or the parsed model says of the request itself."""
        if not self.span.is_recording:
            return
        request_id = getattr(result, "_request_id", None)
        if request_id is not None:
            self.span.set(attr.OPENAI_REQUEST_ID, string(request_id))
            return
        response = getattr(result, "http_response", None) or getattr(result, "response", None)
        if response is not None and hasattr(response, "headers"):
            self._response_facts(response)

    def attempt_failed(self, delay_s: float | None, headers: Any) -> None:
        """Tell of an attempt that the client's own retry loop is about to repeat."""
        error = sys.exc_info()[1]
        event: dict[str, Any] = {attr.ATTEMPT_NUMBER: self.attempts}
        response = getattr(error, "response", None)
        status = getattr(response, "status_code", None)
        if isinstance(status, int):
            event[attr.HTTP_RESPONSE_STATUS_CODE] = status
            event[attr.ERROR_TYPE] = str(status)
        elif error is not None:
            event[attr.ERROR_TYPE] = type(error).__qualname__
        if delay_s is not None:
            event[attr.ATTEMPT_DELAY_S] = float(delay_s)
        request_id = string(headers.get("x-request-id")) if headers is not None else None
        if request_id:
            event[attr.OPENAI_REQUEST_ID] = request_id
        self.attempts += 1
        self.span.span.add_event(attr.EVENT_FAILED_ATTEMPT, event)

    def _response_facts(self, response: Any) -> None:
        headers = getattr(response, "headers", None)
        if headers is None:
            return
        request_id = string(headers.get("x-request-id")) or string(headers.get("apim-request-id"))
        self.span.set(attr.OPENAI_REQUEST_ID, request_id)
        status = getattr(response, "status_code", None)
        if isinstance(status, int) and status >= 400:
            self.span.set(attr.HTTP_RESPONSE_STATUS_CODE, status)

    def _tell(
        self, answer: Answer | None, exc: BaseException | None, stream_outcome: str | None
    ) -> None:
        span = self.span
        told: dict[str, Any] = {}
        if answer is not None:
            with guard("answer"):
                self._count_once(answer)
                told = answer_attributes(answer, self.state.content)
        told[attr.LLM_LATENCY_MS] = self.wait_ns / 1e6
        if self.endpoint.operation is not None or self.attempts > 1:
            told[attr.LLM_ATTEMPT_COUNT] = self.attempts
        if self.first_chunk_ns is not None:
            told[attr.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK] = self.first_chunk_ns / 1e9
        if stream_outcome is not None:
            told[attr.STREAM_OUTCOME] = stream_outcome
        span.set_all(told)
        if exc is not None:
            span.fail(exc)
        elif answer is not None and answer.error_type is not None:
            span.fail_as(answer.error_type, answer.error_message)
        if self.state.metrics.is_live:
            self._measure(answer, exc)

    def _count_once(self, answer: Answer) -> None:
        endpoint = self.endpoint
        if endpoint.is_response:
            is_background = (
                answer.is_background or fields(self.options.json_data).get("background") is True
            )
            take_usage_once(answer, is_create=endpoint.is_create, is_background=is_background)
        elif not endpoint.is_create:
            answer.usage = None

    def _measure(self, answer: Answer | None, exc: BaseException | None) -> None:
        if self.endpoint.operation is None:
            return
        labels: dict[str, Any] = {
            attr.GEN_AI_OPERATION_NAME: self.endpoint.operation,
            attr.GEN_AI_PROVIDER_NAME: self.server.provider,
            attr.SERVER_ADDRESS: self.server.address,
            attr.SERVER_PORT: self.server.port,
        }
        if self.model:
            labels[attr.GEN_AI_REQUEST_MODEL] = self.model
        if answer is not None and answer.model:
            labels[attr.GEN_AI_RESPONSE_MODEL] = answer.model
        route = self.labels.get(attr.ROUTE)
        if route is not None:
            labels[attr.ROUTE] = route
        if exc is not None:
            labels[attr.ERROR_TYPE] = type(exc).__qualname__
        elif answer is not None and answer.error_type:
            labels[attr.ERROR_TYPE] = answer.error_type
        usage = answer.usage if answer is not None else None
        first_s = self.first_chunk_ns / 1e9 if self.first_chunk_ns is not None else None
        self.state.metrics.record(
            labels,
            duration_s=(perf_counter_ns() - self.start_ns) / 1e9,
            first_chunk_s=first_s,
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
        )


def begin(state: State, client: Any, options: Any, *, is_stream: bool) -> Call | None:
    """Start the span of a request; None when it is not to be recorded at all."""
    end_orphans()
    current = otel_context.get_current()
    if is_suppressed(current) or _is_told_already(current, options):
        return None
    endpoint = endpoint_of(options.method, options.url)
    server = server_of(client)
    body = _body(options)
    model = body.get("model")
    owner = llm_call_owner.get()
    parent = current
    start = _start_attributes(endpoint, server, model)
    if owner is not None and owner.take(endpoint.operation):
        parent = owner.parent if owner.parent is not None else current
        start.update(owner.attributes)
    labels = stamps(parent)
    if labels:
        start.update(labels)
    name = endpoint.name if not isinstance(model, str) else f"{endpoint.name} {model}"
    span = state.tracer.start_span(
        name if endpoint.operation else endpoint.name, parent, SpanKind.CLIENT, start
    )
    call = Call(state, endpoint, server, options, CallSpan(span, state.content))
    call.model = model if isinstance(model, str) else None
    call.labels = labels
    call.context = otel_context.set_value(CALL_KEY, call, trace.set_span_in_context(span, parent))
    if call.is_told:
        with guard("request"):
            _tell_request(call, body, is_stream=is_stream)
            call.start_ns = perf_counter_ns()
    return call


def _is_told_already(context: Context, options: Any) -> bool:
    """Tell a request seen twice: by a patch that another library had wrapped, and a newer one."""
    outer = context.get(CALL_KEY)
    return isinstance(outer, Call) and outer.options is options


def _start_attributes(endpoint: Endpoint, server: Server, model: Any) -> dict[str, Any]:
    start: dict[str, Any] = {
        attr.GEN_AI_PROVIDER_NAME: server.provider,
        attr.SERVER_ADDRESS: server.address,
        attr.SERVER_PORT: server.port,
    }
    if endpoint.operation is not None:
        start[attr.GEN_AI_OPERATION_NAME] = endpoint.operation
    else:
        verb, _, template = endpoint.name.partition(" ")
        start[attr.HTTP_REQUEST_METHOD] = verb
        start[attr.URL_TEMPLATE] = template
    if endpoint.api_type is not None:
        start[attr.OPENAI_API_TYPE] = endpoint.api_type
    if endpoint.output_type is not None:
        start[attr.GEN_AI_OUTPUT_TYPE] = endpoint.output_type
    if isinstance(model, str):
        start[attr.GEN_AI_REQUEST_MODEL] = model
        start[attr.LLM_MODEL_NAME] = model
    return start


def _body(options: Any) -> Mapping[str, Any]:
    body = options.json_data
    extra = getattr(options, "extra_json", None)
    if extra:
        return {**fields(body), **fields(extra)}
    return body if body.__class__ is dict else fields(body)


def _tell_request(call: Call, body: Mapping[str, Any], *, is_stream: bool) -> None:
    state, endpoint = call.state, call.endpoint
    if is_stream and endpoint.takes_stream_options:
        call.options, call.usage_asked = usage_option.ask(call.options, body, call.server, state)
    if not call.span.is_recording:
        return
    told = request_attributes(body)
    if endpoint.input_key is not None:
        told.update(
            content_attributes(body, state.content, endpoint.read_messages, endpoint.input_key)
        )
    if state.capture_tool_definitions and ("tools" in body or "functions" in body):
        definitions = tool_definitions(body, state.content)
        if definitions is not None:
            told[attr.GEN_AI_TOOL_DEFINITIONS] = definitions
    if call.usage_asked:
        told[attr.USAGE_REQUESTED] = True
    call.span.set_all(told)


def end_time_ns() -> int:
    """Return the wall-clock time for a span's end, in nanoseconds since the epoch."""
    return time_ns()
