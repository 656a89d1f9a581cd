"""Own one call of a client: its span from start to finish, its times, its metrics.

What a body or an answer says is the extractors' knowledge; how a stream ends is `stream`'s.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from tollway import attributes as attr
from tollway._guard import guard, swallow
from tollway._span import CallSpan
from tollway.openai.answer import UNEXPECTED_RESPONSE, Answer, answer_attributes
from tollway.openai.endpoints import Endpoint
from tollway.openai.fields import fields, string
from tollway.openai.provider import Server
from tollway.openai.responses import take_usage_once

if TYPE_CHECKING:
    from tollway._setup import State

CALL_KEY = otel_context.create_key("tollway-openai-call")
_EMPTY: Mapping[str, Any] = {}
_NO_CONTEXT = Context()


class Call:
    """One request of a client, from before it is sent until its answer is over."""

    __slots__ = (
        "attempts",
        "context",
        "endpoint",
        "first_chunk_ns",
        "labels",
        "model",
        "options",
        "sent_options",
        "server",
        "span",
        "start_ns",
        "state",
        "told",
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
        self.sent_options = options
        """The app's own options, or a copy of them that asks for usage."""
        self.span = span
        self.model: str | None = None
        self.context = _NO_CONTEXT
        self.labels: Mapping[str, Any] = _EMPTY
        self.told: dict[str, Any] = {}
        """What goes on the span at its end, all at once: each setting takes the span's lock."""
        self.attempts = 1
        self.usage_asked = False
        self.wait_ns = 0
        self.first_chunk_ns: int | None = None
        self.start_ns = perf_counter_ns()

    def arguments(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of the request with the options that ask for usage."""
        if len(args) > 1:
            return (args[0], self.sent_options, *args[2:]), kwargs
        return args, {**kwargs, "options": self.sent_options}

    def returned(self) -> None:
        """Note that the request returned: what it took so far, the provider took."""
        self.wait_ns += perf_counter_ns() - self.start_ns
        # It holds this call, and a cycle would wait for the collector.
        self.context = _NO_CONTEXT

    def failed(self, exc: BaseException) -> None:
        """End the span of a request that raised."""
        self.returned()
        with guard("failed call"):
            response = getattr(exc, "response", None)
            self._header_facts(response)
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

    def answered(self, result: Any, end_ns: int) -> None:
        """End the span of a request that returned the client's model of a whole answer."""
        request_id = getattr(result, "_request_id", None)
        if request_id.__class__ is str:
            self.told[attr.OPENAI_REQUEST_ID] = request_id
        self.over(self.read(result), end_ns=end_ns)

    def read(self, result: Any) -> Answer:
        """Read a whole answer: the client's model of it, or its JSON."""
        endpoint = self.endpoint
        answer = endpoint.read_answer(result, self.server.provider)
        if endpoint.answers_object and not fields(result):
            # HTML or an empty body under status 200: the client hands it over as it is.
            answer.error_type = UNEXPECTED_RESPONSE
        return answer

    def response_facts(self, result: Any) -> None:
        """Tell what the HTTP response behind a stream, raw or binary result says of the request."""
        response = getattr(result, "http_response", None) or getattr(result, "response", None)
        if response is not None and hasattr(response, "headers"):
            self._header_facts(response)

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

    def _header_facts(self, response: Any) -> None:
        headers = getattr(response, "headers", None)
        if headers is None:
            return
        request_id = string(headers.get("x-request-id")) or string(headers.get("apim-request-id"))
        if request_id:
            self.told[attr.OPENAI_REQUEST_ID] = request_id
        status = getattr(response, "status_code", None)
        if isinstance(status, int) and status >= 400:
            self.told[attr.HTTP_RESPONSE_STATUS_CODE] = status

    def _tell(
        self, answer: Answer | None, exc: BaseException | None, stream_outcome: str | None
    ) -> None:
        span, told = self.span, self.told
        if answer is not None:
            try:
                self._count_once(answer)
                answer_attributes(answer, self.state.content, told)
            except Exception as exc_of_ours:  # noqa: BLE001 - the rest is told all the same
                swallow("answer", exc_of_ours)
        if self.model is not None and attr.LLM_MODEL_NAME not in told:
            told[attr.LLM_MODEL_NAME] = self.model
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
