"""Answers of the SQL door: headers, whole or in pieces, compressed, errors before and midway."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import time

from aiohttp import web

from tollway_processor.door.answer import Summary
from tollway_processor.door.encodings import Encoder, encoder
from tollway_processor.door.exchange import Exchange
from tollway_processor.door.running import Statement
from tollway_processor.door.session import Connect, opened
from tollway_processor.door.wire import content_type, status_of
from tollway_processor.errors import StoreError

_PIECE_BYTES = 1024 * 1024
_HELD_BYTES = 1024 * 1024  # an answer up to here is sent whole, so that its errors have a status
_HELD_TO_END_BYTES = 64 * 1024 * 1024  # the same for wait_end_of_query=1


class Replies:
    """Writes what ClickHouse would; knows the engine's version and time zone."""

    def __init__(self, connect: Connect) -> None:
        with opened(connect) as connection:
            told = connection.query("SELECT version(), timezone()").bytes().decode()
        self._version, self._timezone = told.rstrip("\n").split("\t")
        self._name = socket.gethostname()

    def text(self, query_id: str, text: str, *, status: int = 200) -> web.Response:
        """Return an answer that is no statement's."""
        return web.Response(text=text, status=status, headers=self._headers(query_id))

    def error(self, query_id: str, error: StoreError) -> web.Response:
        """Return a failed statement's answer: ClickHouse's code, text and status."""
        headers = self._headers(query_id)
        headers["X-ClickHouse-Exception-Code"] = str(error.code)
        text = f"{error} (version {self._version})\n"
        return web.Response(text=text, status=status_of(error.code), headers=headers)

    async def answer(
        self, http: web.Request, exchange: Exchange, statement: Statement
    ) -> web.StreamResponse:
        """Answer a statement: whole if it is short, else piece by piece as it comes."""
        started_s = time.perf_counter()
        most = _HELD_TO_END_BYTES if exchange.waits_for_end else _HELD_BYTES
        held = bytearray()
        while len(held) < most and not statement.pieces.at_eof():
            held += await statement.pieces.read(_PIECE_BYTES)
        if not statement.pieces.at_eof():
            return await self._stream(http, exchange, statement, bytes(held))
        try:
            summary = await statement.summary()
        except StoreError as error:
            return self.error(exchange.query_id, error)
        return await self._whole(exchange, statement, bytes(held), summary, started_s)

    async def _whole(
        self,
        exchange: Exchange,
        statement: Statement,
        body: bytes,
        summary: Summary,
        started_s: float,
    ) -> web.Response:
        headers = self._result_headers(exchange, statement)
        counts = {name: str(value) for name, value in summary._asdict().items()}
        counts["result_bytes"] = str(len(body))
        counts["elapsed_ns"] = str(int((time.perf_counter() - started_s) * 1e9))
        headers["X-ClickHouse-Summary"] = json.dumps(counts)
        coding = encoder(exchange.accept_encoding) if body else None
        if coding:
            headers["Content-Encoding"], stream = coding
            body = await asyncio.to_thread(stream.piece, body) + stream.end()
        return web.Response(body=body, headers=headers)

    async def _stream(
        self, http: web.Request, exchange: Exchange, statement: Statement, held: bytes
    ) -> web.StreamResponse:
        headers = self._result_headers(exchange, statement)
        tag = secrets.token_hex(8)
        headers["X-ClickHouse-Exception-Tag"] = tag
        coding = encoder(exchange.accept_encoding)
        stream: Encoder | None = None
        if coding:
            headers["Content-Encoding"], stream = coding
        response = web.StreamResponse(headers=headers)
        await response.prepare(http)
        piece = held
        while piece:
            await response.write(await asyncio.to_thread(stream.piece, piece) if stream else piece)
            piece = await statement.pieces.read(_PIECE_BYTES)
        try:
            await statement.summary()
        except StoreError as error:
            await self._break_off(http, response, stream, _midway(error, tag))
            return response
        if stream:
            await response.write(stream.end())
        await response.write_eof()
        return response

    async def _break_off(
        self,
        http: web.Request,
        response: web.StreamResponse,
        stream: Encoder | None,
        message: bytes,
    ) -> None:
        """Say what went wrong, then cut the answer short: no client may take it for complete."""
        if stream:
            message = stream.piece(message) + stream.end()
        await response.write(message)
        if http.transport:
            http.transport.close()

    def _result_headers(self, exchange: Exchange, statement: Statement) -> dict[str, str]:
        headers = self._headers(exchange.query_id)
        headers["Content-Type"] = content_type(statement.format)
        if statement.format:
            headers["X-ClickHouse-Format"] = statement.format
        return headers

    def _headers(self, query_id: str) -> dict[str, str]:
        return {
            "X-ClickHouse-Server-Display-Name": self._name,
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Timezone": self._timezone,
        }


def _midway(error: StoreError, tag: str) -> bytes:
    """Return the block that ends a broken-off answer, as ClickHouse 25.11 and later write it."""
    message = f"{error}\n".encode()
    marker = tag.encode()
    return b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (
        marker,
        message,
        len(message),
        marker,
    )
