"""What a sender is told: OTLP responses and google.rpc.Status bodies, protobuf or JSON.

https://opentelemetry.io/docs/specs/otlp/ has the codes; http.py and grpc.py send the bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import grpc
import msgspec

from tollway_processor.errors import (
    OverloadError,
    PermanentError,
    RetryableError,
    TollwayError,
    TooLargeError,
)
from tollway_processor.receive.auth import UnauthenticatedError
from tollway_processor.receive.body import UnsupportedEncodingError
from tollway_processor.receive.wire import VARINT, length_delimited, tag, varint
from tollway_processor.store.client import Signal

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_REASONS_TOLD = 5
_REJECTED = {"traces": "rejectedSpans", "logs": "rejectedLogRecords"}
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


class UnsupportedMediaError(PermanentError):
    """A Content-Type that OTLP does not have (415)."""


class NotTakenError(PermanentError):
    """A signal that this server does not take (404)."""


class SlowSenderError(TollwayError):
    """A body that did not arrive in time (408)."""


class Failure(NamedTuple):
    """A refusal as both protocols spell it; `delay_s` is None when a retry is useless."""

    http_status: int
    grpc_code: grpc.StatusCode
    cause: str
    message: str
    delay_s: float | None = None


# The first class that fits wins, so the narrower ones come first.
_FAILURES: tuple[tuple[type[TollwayError], int, grpc.StatusCode, str], ...] = (
    (UnauthenticatedError, 401, grpc.StatusCode.UNAUTHENTICATED, "unauthenticated"),
    (UnsupportedMediaError, 415, grpc.StatusCode.INVALID_ARGUMENT, "content_type"),
    (UnsupportedEncodingError, 415, grpc.StatusCode.INVALID_ARGUMENT, "content_encoding"),
    (NotTakenError, 404, grpc.StatusCode.UNIMPLEMENTED, "not_taken"),
    (SlowSenderError, 408, grpc.StatusCode.DEADLINE_EXCEEDED, "slow_sender"),
    (TooLargeError, 413, grpc.StatusCode.RESOURCE_EXHAUSTED, "too_large"),
    (PermanentError, 400, grpc.StatusCode.INVALID_ARGUMENT, "malformed"),
    (OverloadError, 429, grpc.StatusCode.RESOURCE_EXHAUSTED, "overload"),
    (RetryableError, 503, grpc.StatusCode.UNAVAILABLE, "unavailable"),
)


def failure(error: TollwayError) -> Failure:
    """Return how both protocols answer `error`; one of no known kind is a retryable fault of ours.

    A retryable answer carries a delay, without which gRPC senders must not retry
    RESOURCE_EXHAUSTED.
    """
    delay_s = error.delay_s if isinstance(error, RetryableError) else None
    for kind, http_status, grpc_code, cause in _FAILURES:
        if isinstance(error, kind):
            return Failure(http_status, grpc_code, cause, str(error), delay_s)
    return Failure(503, grpc.StatusCode.UNAVAILABLE, "fault", str(error), 1.0)


def success_body(signal: Signal, refused: Sequence[tuple[str, int]], content_type: str) -> bytes:
    """Return an Export*ServiceResponse; `refused` are (reason, count of spans), none is empty."""
    if not refused:
        return b"{}" if content_type == JSON else b""
    count = sum(count for _, count in refused)
    message = _reasons(refused)
    if content_type == JSON:
        partial = {_REJECTED[signal]: str(count), "errorMessage": message}
        return msgspec.json.encode({"partialSuccess": partial})
    partial_bytes = tag(1, VARINT) + varint(count) + length_delimited(2, message.encode())
    return length_delimited(1, partial_bytes)


def status(answer: Failure) -> bytes:
    """Return the google.rpc.Status of a refusal, with RetryInfo where a retry may help."""
    code: int = answer.grpc_code.value[0]
    message = tag(1, VARINT) + varint(code) + length_delimited(2, answer.message.encode())
    if answer.delay_s is None:
        return message
    seconds, nanos = divmod(max(1_000_000, round(answer.delay_s * 1e9)), 1_000_000_000)
    duration = tag(1, VARINT) + varint(seconds) + tag(2, VARINT) + varint(nanos)
    retry_info = length_delimited(1, duration)
    detail = length_delimited(1, _RETRY_INFO.encode()) + length_delimited(2, retry_info)
    return message + length_delimited(3, detail)


def status_body(answer: Failure, content_type: str) -> bytes:
    """Return the body of an HTTP refusal, in the request's own format."""
    if content_type == PROTOBUF:
        return status(answer)
    body: dict[str, object] = {"code": answer.grpc_code.value[0], "message": answer.message}
    if answer.delay_s is not None:
        delay = {"@type": _RETRY_INFO, "retryDelay": f"{max(0.001, answer.delay_s):.3f}s"}
        body["details"] = [delay]
    return msgspec.json.encode(body)


def retry_after(answer: Failure) -> str | None:
    """Return the Retry-After header in whole seconds (RFC 9110, 10.2.3), or None."""
    return None if answer.delay_s is None else str(max(1, math.ceil(answer.delay_s)))


def _reasons(refused: Sequence[tuple[str, int]]) -> str:
    told = "; ".join(f"{count} × {reason}" for reason, count in refused[:_REASONS_TOLD])
    more = len(refused) - _REASONS_TOLD
    return f"{told}; and {more} more reasons" if more > 0 else told
