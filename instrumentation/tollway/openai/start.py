"""Own the start of a call: what is told before the request is sent, and what samplers see of it.

What becomes of the span afterwards is `call`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from tollway import _setup
from tollway import attributes as attr
from tollway._context import SUPPRESS_KEY, LlmCallOwner, llm_call_owner, stamps
from tollway._guard import swallow
from tollway._span import CallSpan, end_orphans
from tollway._unrecorded import SPAN_KEY
from tollway.openai import usage_option
from tollway.openai.call import CALL_KEY, Call
from tollway.openai.endpoints import Endpoint, endpoint_of
from tollway.openai.fields import fields
from tollway.openai.provider import Server, server_of
from tollway.openai.request import (
    content_attributes,
    request_attributes,
    tool_definitions,
    user_attribute,
)

if TYPE_CHECKING:
    from tollway._setup import State

_NO_LABELS: Mapping[str, Any] = {}


def begin(
    client: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, is_stream: bool
) -> Call | Context | None:
    """Start the span of a request; None when it is to run as it is, in the context it is in.

    A context alone when the span is not recorded: the decision still reaches what runs inside.
    Never raises: the app's call goes on, told or not.
    """
    state = _setup.current()
    if state is None or not state.openai_active:
        return None
    try:
        current = otel_context.get_current()
        if current.get(SUPPRESS_KEY):
            return None
        owner = llm_call_owner.get()
        if (owner is None or owner.is_spent) and not state.metrics.is_live:
            dropped = state.drops.context(current)
            if dropped is not None:
                return None if dropped is current else dropped
        options = args[1] if len(args) > 1 else kwargs["options"]
        outer = current.get(CALL_KEY)
        if isinstance(outer, Call) and outer.sent_options is options:
            # Seen twice: another library wrapped a patch of ours that was taken back since.
            return None
        end_orphans()
        return _begin(state, client, options, current, owner, is_stream=is_stream)
    except Exception as exc:  # noqa: BLE001 - a request like no other must be sent all the same
        swallow("start of a call", exc)
        return None


def _begin(
    state: State,
    client: Any,
    options: Any,
    current: Context,
    owner: LlmCallOwner | None,
    *,
    is_stream: bool,
) -> Call | Context:
    endpoint, server = endpoint_of(options.method, options.url), server_of(client)
    body = _body(options)
    said_model = body.get("model")
    model = said_model if isinstance(said_model, str) else None
    start, parent = _start_attributes(endpoint, server, model), current
    if owner is not None and owner.take(endpoint.operation):
        parent = owner.parent if owner.parent is not None else current
        start.update(owner.attributes)
    labels = stamps(parent) if parent else _NO_LABELS
    if labels:
        start.update(labels)
    name = f"{endpoint.name} {model}" if model and endpoint.operation else endpoint.name
    span = state.tracer.start_span(name, parent, SpanKind.CLIENT, start)
    if not span.is_recording() and not state.metrics.is_live:
        return trace.set_span_in_context(span, parent)
    call = Call(state, endpoint, server, options, CallSpan(span, state.content))
    call.model = model
    call.labels = labels
    call.context = Context({**parent, SPAN_KEY: span, CALL_KEY: call})
    try:
        _tell_request(call, body, is_stream=is_stream)
        if ("user" in body or "safety_identifier" in body) and attr.USER_ID not in start:
            user_attribute(body, state.content, call.told)
    except Exception as exc:  # noqa: BLE001 - the rest is told all the same
        swallow("request", exc)
    call.start_ns = perf_counter_ns()
    return call


def _start_attributes(endpoint: Endpoint, server: Server, model: str | None) -> dict[str, Any]:
    """Return what samplers decide by; the rest of the call's attributes can wait for its end."""
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
    if model is not None:
        start[attr.GEN_AI_REQUEST_MODEL] = model
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
        call.sent_options, call.usage_asked = usage_option.ask(
            call.options, body, call.server, state
        )
    if not call.span.is_recording:
        return
    told = call.told
    if endpoint.api_type is not None:
        told[attr.OPENAI_API_TYPE] = endpoint.api_type
    if endpoint.output_type is not None:
        told[attr.GEN_AI_OUTPUT_TYPE] = endpoint.output_type
    request_attributes(body, told)
    if endpoint.input_key is not None:
        content_attributes(body, state.content, endpoint, told)
    if state.capture_tool_definitions and ("tools" in body or "functions" in body):
        definitions = tool_definitions(body, state.content)
        if definitions is not None:
            told[attr.GEN_AI_TOOL_DEFINITIONS] = definitions
    if call.usage_asked:
        told[attr.USAGE_REQUESTED] = True
