"""Own the patch of the OpenAI client: its one request method a client class, and the taking back.

Every resource of every version goes through `request`, streams and raw responses too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from time import time_ns
from typing import Any

from opentelemetry import context as otel_context

from tollway import attributes as attr
from tollway._guard import guard, swallow
from tollway.openai import usage_option
from tollway.openai.call import CALL_KEY, Call
from tollway.openai.fields import is_model
from tollway.openai.raw import watch_raw
from tollway.openai.start import begin
from tollway.openai.stream import watch_stream

MODULE = "openai._base_client"
_patched: list[tuple[type, str, Any, Any]] = []


def apply(module: Any) -> None:
    """Wrap the request methods of openai's base client module, unless they are wrapped."""
    if _patched:
        return
    _wrap(module.SyncAPIClient, "request", _sync_request)
    _wrap(module.AsyncAPIClient, "request", _async_request)
    # The retry loop asks here how long to wait: the one place all versions share.
    _wrap(module.BaseClient, "_calculate_retry_timeout", _retry_timeout)


def remove() -> None:
    """Put the very functions back that were there, where nobody has wrapped them since."""
    while _patched:
        owner, name, original, wrapper = _patched.pop()
        if owner.__dict__.get(name) is wrapper:
            setattr(owner, name, original)


def _wrap(owner: type, name: str, wrapper: Callable[[Any], Any]) -> None:
    original = owner.__dict__.get(name)
    if original is None:
        return
    # Plain functions: wrapt's, which a method needs no more than these, take 6 µs more a call.
    wrapped = functools.wraps(original)(wrapper(original))
    setattr(owner, name, wrapped)
    _patched.append((owner, name, original, wrapped))


def _sync_request(original: Callable[..., Any]) -> Callable[..., Any]:
    def request(client: Any, *args: Any, **kwargs: Any) -> Any:
        call = begin(client, args, kwargs, is_stream=kwargs.get("stream") is True)
        if call is None:
            return original(client, *args, **kwargs)
        if not isinstance(call, Call):
            token = otel_context.attach(call)
            try:
                return original(client, *args, **kwargs)
            finally:
                otel_context.detach(token)
        while True:
            sent_args, sent_kwargs = (
                call.arguments(args, kwargs) if call.usage_asked else (args, kwargs)
            )
            token = otel_context.attach(call.context)
            try:
                result = original(client, *sent_args, **sent_kwargs)
            except BaseException as exc:
                otel_context.detach(token)
                if _goes_on_without_usage(call, exc):
                    continue
                call.failed(exc)
                raise
            otel_context.detach(token)
            return _returned(call, result, is_stream=kwargs.get("stream") is True)

    return request


def _async_request(original: Callable[..., Any]) -> Callable[..., Any]:
    async def request(client: Any, *args: Any, **kwargs: Any) -> Any:
        call = begin(client, args, kwargs, is_stream=kwargs.get("stream") is True)
        if call is None:
            return await original(client, *args, **kwargs)
        if not isinstance(call, Call):
            token = otel_context.attach(call)
            try:
                return await original(client, *args, **kwargs)
            finally:
                otel_context.detach(token)
        while True:
            sent_args, sent_kwargs = (
                call.arguments(args, kwargs) if call.usage_asked else (args, kwargs)
            )
            token = otel_context.attach(call.context)
            try:
                result = await original(client, *sent_args, **sent_kwargs)
            except BaseException as exc:
                otel_context.detach(token)
                if _goes_on_without_usage(call, exc):
                    continue
                call.failed(exc)
                raise
            otel_context.detach(token)
            return _returned(call, result, is_stream=kwargs.get("stream") is True)

    return request


def _goes_on_without_usage(call: Call, exc: BaseException) -> bool:
    """Drop the question for usage where the server may have refused it: the app never asked."""
    if not call.usage_asked or not usage_option.may_be_refusal(exc, call.server):
        return False
    call.usage_asked = False
    call.sent_options = call.options
    call.told.pop(attr.USAGE_REQUESTED, None)
    usage_option.learn(call.server, takes_option=False)
    return True


def _returned(call: Call, result: Any, *, is_stream: bool) -> Any:
    """Read what a request returned, or watch it until it is over; return it as it is."""
    end_ns = time_ns()
    call.returned()
    try:
        if is_model(result):
            call.answered(result, end_ns)
        else:
            call.response_facts(result)
            _watch(call, result, is_stream=is_stream)
    except Exception as exc:  # noqa: BLE001 - the app gets its result, read or not
        swallow("returned call", exc)
    return result


def _watch(call: Call, result: Any, *, is_stream: bool) -> None:
    raw = getattr(result, "http_response", None)
    if raw is not None:
        watch_raw(raw, call, is_stream=is_stream)
    elif is_stream and hasattr(result, "_iterator"):
        watch_stream(result, call)
    elif hasattr(result, "iter_bytes") or hasattr(result, "aiter_bytes"):
        watch_raw(getattr(result, "response", result), call, is_stream=is_stream)
    else:
        call.over(call.read(result))


def _retry_timeout(original: Callable[..., Any]) -> Callable[..., Any]:
    def calculate(client: Any, *args: Any, **kwargs: Any) -> Any:
        delay_s = original(client, *args, **kwargs)
        call = otel_context.get_current().get(CALL_KEY)
        if isinstance(call, Call) and call.span.is_open:
            with guard("failed attempt"):
                headers = args[2] if len(args) > 2 else kwargs.get("response_headers")
                call.attempt_failed(delay_s, headers)
        return delay_s

    return calculate
