"""The OTLP/gRPC receiver: raw message bytes in, answers out; the bodies' fate is intake.py's.

https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import Any, NoReturn, TypeAlias

import grpc
from grpc import aio

from tollway_processor.errors import PermanentError, TollwayError
from tollway_processor.receive.answers import (
    PROTOBUF,
    Failure,
    SlowSenderError,
    status,
    success_body,
)
from tollway_processor.receive.auth import Tokens
from tollway_processor.receive.budget import Lease
from tollway_processor.receive.intake import Intake
from tollway_processor.receive.limits import TlsConfig
from tollway_processor.receive.listeners import (
    bind_error,
    grpc_credentials,
    parse_address,
    probe,
    warn_if_exposed,
)
from tollway_processor.store.client import Signal

_SERVICES: dict[str, Signal] = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": "traces",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "logs",
}
_READERS = 4  # messages read at a time, each for at most _TURN_S before the next one has its turn
_TURN_S = 0.25
_FORGETTING = 0.9  # share of the largest message that is still expected after a smaller one
_Context: TypeAlias = aio.ServicerContext[Any, Any]


class _Messages:
    """Reads a call's one message, within the budget that all receivers share.

    gRPC tells no length beforehand, so room for a message as large as the latest ones is taken, and
    few are read at a time: a first wave of large ones would pass the budget else. One that takes
    its time makes room for the next reader.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._turns = asyncio.Semaphore(_READERS)
        self._usual_bytes = 0

    async def read(self, context: _Context) -> tuple[bytes, Lease]:
        """Return the message's bytes, and the lease that holds them.

        Raises OverloadError when there is no room, SlowSenderError when it does not come in time.
        """
        with contextlib.ExitStack() as undo:
            lease = undo.enter_context(self._intake.budget.open(0))
            async with self._turns:
                lease.hold(self._usual_bytes)
                reading = asyncio.create_task(self._read(context))
                try:
                    await asyncio.wait([reading], timeout=_TURN_S)
                except asyncio.CancelledError:
                    reading.cancel()
                    raise
            body = await reading
            if body is aio.EOF:
                raise PermanentError("the call brought no message; an OTLP request was expected")
            self._usual_bytes = max(len(body), int(self._usual_bytes * _FORGETTING))
            lease.settle(len(body))
            undo.pop_all()
        return body, lease

    async def _read(self, context: _Context) -> Any:
        timeout_s = self._intake.limits.body_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await context.read()
        except TimeoutError as error:
            raise SlowSenderError(
                f"the message did not come in {timeout_s:g} s; send faster or in smaller batches"
            ) from error


class _Exports(grpc.GenericRpcHandler):
    """Both Export methods on raw bytes; any other method is answered UNIMPLEMENTED by gRPC.

    They are unary, and are read as streams of one message: else gRPC would take each message into
    memory before the budget is asked.
    """

    def __init__(self, intake: Intake, tokens: Tokens) -> None:
        self._intake = intake
        self._tokens = tokens
        self._messages = _Messages(intake)

    def service(
        self, details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        signal = _SERVICES.get(details.method)
        if signal is None:
            return None
        return grpc.stream_unary_rpc_method_handler(partial(self._export, signal))

    async def _export(self, signal: Signal, _: object, context: _Context) -> bytes:
        try:
            project = self._tokens.project(_authorization(context))
            body, lease = await self._messages.read(context)
            receipt = await self._intake.take(signal, body, project, lease)
        except TollwayError as error:
            await _abort(context, self._intake.refused(signal, error))
        return success_body(signal, receipt.refused, PROTOBUF)


class GrpcReceiver:
    """Listens for OTLP over gRPC on the running event loop."""

    def __init__(self, intake: Intake, tokens: Tokens, *, tls: TlsConfig | None = None) -> None:
        self._intake = intake
        self._tokens = tokens
        self._tls = tls or TlsConfig()
        self._server: aio.Server | None = None
        self.port = 0

    async def start(self, address: str, *, flag: str = "--grpc") -> None:
        """Listen on HOST:PORT; `port` then is the bound one. Raises UsageError naming `flag`."""
        where = parse_address(address, flag)
        probe(where, flag)
        credentials = grpc_credentials(self._tls)
        warn_if_exposed(where, flag, self._tokens)
        limits = self._intake.limits
        server = aio.server(
            options=(
                ("grpc.max_receive_message_length", limits.decoded_bytes),
                ("grpc.http2.bdp_probe", 0),  # else calls that wait to be read hold their messages
                ("grpc.so_reuseport", 0),  # else two processes share a port without a word
            ),
        )
        server.add_generic_rpc_handlers((_Exports(self._intake, self._tokens),))
        try:
            if credentials is None:
                self.port = server.add_insecure_port(str(where))
            else:
                self.port = server.add_secure_port(str(where), credentials)
        except RuntimeError as error:
            raise bind_error(where, flag, OSError(str(error))) from error
        await server.start()
        self._server = server

    async def stop(self, grace_s: float = 5.0) -> None:
        """Take no new calls, let running ones finish within `grace_s`, then cut them.

        The budget of all receivers is closed with it: what still comes is answered UNAVAILABLE.
        """
        self._intake.budget.drain()
        if self._server is not None:
            await self._server.stop(grace_s)
            self._server = None


def _authorization(context: _Context) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return value if isinstance(value, str) else value.decode("latin-1")
    return None


async def _abort(context: _Context, answer: Failure) -> NoReturn:
    details = (("grpc-status-details-bin", status(answer)),)
    await context.abort(answer.grpc_code, answer.message, details)
    raise AssertionError("abort raises")
