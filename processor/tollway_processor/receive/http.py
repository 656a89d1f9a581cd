"""The OTLP/HTTP receiver: requests in, answers out; what becomes of a body is intake.py's.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from aiohttp import web

from tollway_processor.errors import PermanentError, TollwayError, TooLargeError
from tollway_processor.receive.answers import (
    JSON,
    PROTOBUF,
    Failure,
    NotTakenError,
    SlowSenderError,
    UnsupportedMediaError,
    retry_after,
    status_body,
    success_body,
)
from tollway_processor.receive.auth import Tokens
from tollway_processor.receive.body import BodyDecoder
from tollway_processor.receive.budget import Lease
from tollway_processor.receive.intake import Intake
from tollway_processor.receive.limits import TlsConfig
from tollway_processor.receive.listeners import (
    bind_error,
    parse_address,
    ssl_context,
    warn_if_exposed,
)
from tollway_processor.receive.otlp_json import to_protobuf
from tollway_processor.store.client import Signal

REPLAY_HEADER = "Tollway-Replay"  # on a dead letter that `tollway replay` sends again
_READ_BYTES = 1 << 18  # a connection's read buffer: fewer, larger pieces for the decoder
_GRACE_S = 5.0  # for answers that wait for their commit when the receiver stops
_PATHS: dict[str, Signal] = {"/v1/traces": "traces", "/v1/logs": "logs"}
_OTHER_PATHS = ("/v1/metrics", "/v1development/profiles")


class Readiness(NamedTuple):
    """Whether this process can store spans now, and what it says about it."""

    is_ready: bool
    message: str


def always_ready() -> Readiness:
    """Say ready: the answer of a receiver that was given nothing to ask."""
    return Readiness(True, "ready")


class HttpReceiver:
    """Listens for OTLP over HTTP, and answers /healthz, /readyz and /metrics beside it."""

    def __init__(
        self,
        intake: Intake,
        tokens: Tokens,
        *,
        tls: TlsConfig | None = None,
        readiness: Callable[[], Readiness] = always_ready,
    ) -> None:
        self._intake = intake
        self._tokens = tokens
        self._tls = tls or TlsConfig()
        self._readiness = readiness
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, address: str, *, flag: str = "--http") -> None:
        """Listen on HOST:PORT; `port` then is the bound one. Raises UsageError naming `flag`."""
        where = parse_address(address, flag)
        context = ssl_context(self._tls)
        warn_if_exposed(where, flag, self._tokens)
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            auto_decompress=False,  # aiohttp's own knows no limit
            read_bufsize=_READ_BYTES,
            handler_cancellation=False,
            shutdown_timeout=_GRACE_S,
        )
        await runner.setup()
        site = web.TCPSite(runner, where.host, where.port, ssl_context=context, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise bind_error(where, flag, error) from error
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Take no new requests, let running answers finish for some seconds, then cut them.

        The budget of all receivers is closed with it: what still comes is answered 503.
        """
        self._intake.budget.drain()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _application(self) -> web.Application:
        application = web.Application()
        for path, signal in _PATHS.items():
            application.router.add_post(path, partial(self._export, signal))
        for path in _OTHER_PATHS:
            application.router.add_post(path, self._not_taken)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics)
        return application

    async def _export(self, signal: Signal, request: web.Request) -> web.Response:
        content_type = request.content_type
        try:
            project = self._tokens.project(request.headers.get("Authorization"))
            if content_type not in (PROTOBUF, JSON):
                raise UnsupportedMediaError(
                    f"Content-Type {content_type!r} is not one of {PROTOBUF}, {JSON}"
                )
            lease = self._intake.budget.open(self._expected_bytes(request))
            with lease:
                body = await self._read(request, lease)
                convert = partial(to_protobuf, signal) if content_type == JSON else None
                is_replay = REPLAY_HEADER in request.headers
                receipt = await self._intake.take(
                    signal, body, project, lease, convert, is_replay=is_replay
                )
        except TollwayError as error:
            return _refusal(self._intake.refused(signal, error), content_type)
        return web.Response(
            body=success_body(signal, receipt.refused, content_type), content_type=content_type
        )

    def _expected_bytes(self, request: web.Request) -> int:
        expected = request.content_length or 0
        if expected > self._intake.limits.encoded_bytes:
            raise TooLargeError(
                f"the body has {expected} bytes, over {self._intake.limits.encoded_bytes}; "
                "send smaller batches"
            )
        return expected

    async def _read(self, request: web.Request, lease: Lease) -> bytes:
        """Read and decode the body within the limits and the time that a sender has for it.

        No byte at all is refused: exporters send no empty batch, so it is a body that got lost. A
        request message without spans is taken (`{}`, gRPC's empty message, nothing compressed), as
        the specification asks.
        """
        limits = self._intake.limits
        decoder = BodyDecoder(request.headers.get("Content-Encoding", ""), limits)
        try:
            async with asyncio.timeout(limits.body_timeout_s):
                # Pieces as received, not joined. Asking at_eof() is a must: aiohttp shares one
                # reader among all requests without a body, whose readchunk() ends but once.
                while not request.content.at_eof():
                    piece, _ = await request.content.readchunk()
                    decoder.feed(piece)
                    lease.hold(decoder.decoded_bytes)
        except TimeoutError as error:
            raise SlowSenderError(
                f"{decoder.encoded_bytes} bytes of the body came in {limits.body_timeout_s:g} s; "
                "send faster or in smaller batches"
            ) from error
        except (web.RequestPayloadError, ConnectionError) as error:
            raise PermanentError(f"the body broke off: {error}") from error
        if decoder.encoded_bytes == 0:
            raise PermanentError("the body is empty; an OTLP request was expected")
        return decoder.finish()

    async def _not_taken(self, request: web.Request) -> web.Response:
        error = NotTakenError(f"{request.path}: this receiver takes traces and logs only")
        return _refusal(self._intake.refused("other", error), request.content_type)

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        readiness = self._readiness()
        return web.Response(
            text=readiness.message + "\n", status=200 if readiness.is_ready else 503
        )

    async def _metrics(self, request: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(text=self._intake.counters.text(), headers=headers)


def _refusal(answer: Failure, content_type: str) -> web.Response:
    kind = content_type if content_type == PROTOBUF else JSON
    headers = {"Content-Type": kind}
    if (seconds := retry_after(answer)) is not None:
        headers["Retry-After"] = seconds
    if answer.http_status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="tollway"'
    return web.Response(body=status_body(answer, kind), status=answer.http_status, headers=headers)
