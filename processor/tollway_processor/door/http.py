"""The SQL door: ClickHouse's HTTP interface in front of the embedded store, read-only by default.

Owns the socket and who may come in; a statement's way is running.py's, an answer's reply.py's.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
from functools import partial

from aiohttp import web

from tollway_processor.door.answer import Pipe, Summary, Ticket
from tollway_processor.door.exchange import Exchange, password_of, query_id_of, read_exchange
from tollway_processor.door.faults import AUTHENTICATION_FAILED, fault
from tollway_processor.door.query import Reader, Writer
from tollway_processor.door.reply import Replies
from tollway_processor.door.running import Statements, Work
from tollway_processor.door.session import Connect, Lender, Limits
from tollway_processor.door.sessions import Sessions
from tollway_processor.errors import StoreError, UsageError
from tollway_processor.receive.listeners import Address, bind_error, parse_address

logger = logging.getLogger(__name__)
_READER_BODY_BYTES = 16 * 1024 * 1024
_WRITER_BODY_BYTES = 1024 * 1024 * 1024
_URL_BYTES = 1024 * 1024  # http_max_uri_size of ClickHouse: parameters may be long lists
_WAITING = 100  # statements that may wait for a thread before the next one is refused
_NO_LIMITS = Limits()
_NO_HANDLE = (
    "There is no handle {path}\n\nUse / or /ping for health checks.\n"
    "Send queries from your program with POST method or GET /?query=...\n"
)


class Door:
    """A server of ClickHouse's HTTP interface over a store; nothing is opened before start().

    `listen` is HOST:PORT, port 0 for a free one. A writable door runs any statement: tests have
    it as their ClickHouse server. With a password, requests must carry it.
    """

    def __init__(
        self,
        store: object,
        listen: str = "127.0.0.1:0",
        *,
        writable: bool = False,
        password: str = "",
        limits: Limits = _NO_LIMITS,
        at_once: int = 8,
    ) -> None:
        self._store = store
        self._listen = listen
        self._is_writable = writable
        self._password = password
        self._limits = limits
        self._at_once = at_once
        self.url = ""

    async def start(self) -> None:
        """Listen. Raises UsageError when the address is malformed or taken."""
        address = parse_address(self._listen, "--sql")
        if not isinstance(self._store, Lender):
            raise UsageError("--sql needs an embedded store; ask the ClickHouse server itself")
        connect = self._store.session
        self._engine = _Engine(connect, self._limits, writable=self._is_writable)
        self._statements = Statements(connect, at_once=self._at_once, waiting=_WAITING)
        self._replies = Replies(connect)
        self._answers_any_host = not address.is_loopback
        self._body_bytes = _WRITER_BODY_BYTES if self._is_writable else _READER_BODY_BYTES
        application = web.Application(client_max_size=self._body_bytes)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            auto_decompress=False,  # aiohttp knows no lz4: encodings.py takes all of them
            handler_cancellation=True,
            max_line_size=_URL_BYTES,
            shutdown_timeout=1,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, address.host, address.port).start()
        except OSError as error:
            await self.stop()
            raise bind_error(address, "--sql", error) from error
        self.url = f"http://{Address(address.host, self._runner.addresses[0][1])}"
        if not address.is_loopback and not self._password:
            logger.warning("--sql %s listens beyond this machine and answers anybody", address)

    async def stop(self) -> None:
        """Cancel what runs and close the socket; the store stays open."""
        await self._runner.cleanup()
        await self._statements.stop()
        self._engine.close()

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        replies = self._replies
        query_id = query_id_of(http)
        if http.path in {"/ping", "/replicas_status"}:
            return replies.text(query_id, "Ok.\n")
        if http.path != "/":
            return replies.text(query_id, _NO_HANDLE.format(path=http.path), status=404)
        try:
            self._admit(http)
            exchange = await read_exchange(http, most_bytes=self._body_bytes)
            if not exchange.request.body.strip():
                return replies.text(query_id, "Ok.\n")
            statement = await self._statements.start(self._engine.work(exchange))
        except StoreError as error:
            return replies.error(query_id, error)
        try:
            return await replies.answer(http, exchange, statement)
        finally:
            await self._statements.end(statement)

    def _admit(self, http: web.Request) -> None:
        """Refuse who lacks the password, and web pages that reach loopback by a name of theirs."""
        if self._password and not hmac.compare_digest(
            password_of(http).encode(), self._password.encode()
        ):
            raise fault(
                AUTHENTICATION_FAILED,
                "default: Authentication failed: password is incorrect, or there is no such user",
            )
        if not self._answers_any_host and not _is_loopback(http.url.host or ""):
            raise fault(
                AUTHENTICATION_FAILED,
                f"the SQL door listens on this machine only, so '{http.host}' is not its name",
            )


class _Engine:
    """The reading or the writing way to run a statement."""

    def __init__(self, connect: Connect, limits: Limits, *, writable: bool) -> None:
        self._reader = None if writable else Reader(connect, limits)
        self._writer = Writer(connect) if writable else None
        self._sessions = Sessions(connect)

    def work(self, exchange: Exchange) -> Work:
        """Return what a thread does for one exchange."""
        if self._reader:
            return partial(self._reader.run, exchange.request)
        return partial(self._write, exchange)

    def _write(self, exchange: Exchange, pipe: Pipe, ticket: Ticket) -> Summary:
        assert self._writer is not None
        with self._sessions.lease(
            exchange.session_id,
            exchange.session_timeout_s,
            must_exist=exchange.must_have_session,
        ) as connection:
            return self._writer.run(
                exchange.request, pipe, ticket, connection, is_get=exchange.is_get
            )

    def close(self) -> None:
        self._sessions.close()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
