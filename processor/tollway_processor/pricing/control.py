"""What the running processor does about prices when a command asks: on loopback, with a token.

The address and the token lie in a file beside the store that only its owner can read.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path

from aiohttp import web

from tollway_processor.errors import TollwayError, UsageError
from tollway_processor.pricing.current import CurrentPrices
from tollway_processor.pricing.reprice import Progress, Repricer, Scope, Stamp
from tollway_processor.store.client import Row
from tollway_processor.store.embedded import EmbeddedStore

FILE = "prices-control.json"
_END = object()


class Control:
    """POST /reprice and /update of the process that holds an embedded store."""

    def __init__(self, store: EmbeddedStore, prices: CurrentPrices, stamp: Stamp) -> None:
        self._store = store
        self._prices = prices
        self._stamp = stamp
        self._token = secrets.token_urlsafe(32)
        self._one_at_a_time = asyncio.Lock()
        self._file = store.folder / FILE

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1 and write the file that tells it."""
        application = web.Application()
        application.router.add_post("/reprice", self._reprice)
        application.router.add_post("/update", self._update)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        _write(self._file, {"url": f"http://127.0.0.1:{port}", "token": self._token})

    async def stop(self) -> None:
        """Stop listening; a reprice under way ends after its day and can be gone on with."""
        self._file.unlink(missing_ok=True)
        await self._runner.cleanup()

    async def _reprice(self, request: web.Request) -> web.StreamResponse:
        told = await self._told(request)
        scope = Scope(
            date.fromisoformat(told["first"]), date.fromisoformat(told["last"]), told["model"]
        )
        async with self._one_at_a_time:
            repricer = Repricer(self._store, self._prices, self._stamp)
            return await _stream(request, lambda: repricer.run(scope))

    async def _update(self, request: web.Request) -> web.StreamResponse:
        await self._told(request)
        return web.json_response({"changed": await asyncio.to_thread(self._prices.apply)})

    async def _told(self, request: web.Request) -> dict[str, str]:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            raise web.HTTPUnauthorized(text="wrong token\n")
        return {str(k): str(v) for k, v in (await request.json()).items()}


async def _stream(
    request: web.Request, run: Callable[[], Iterator[Progress | list[Row]]]
) -> web.StreamResponse:
    """Answer with one JSON line a step; when the asker leaves, no further step is begun."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    steps = run()
    try:
        while (step := await asyncio.to_thread(next, steps, _END)) is not _END:
            await response.write(json.dumps(line(step)).encode() + b"\n")
    except TollwayError as error:
        is_usage = isinstance(error, UsageError)
        text = json.dumps({"error": str(error), "is_usage": is_usage})
        await response.write(text.encode() + b"\n")
    await response.write_eof()
    return response


def line(step: object) -> dict[str, object]:
    """Return a step of a reprice as the JSON object that stands for it."""
    return {"progress": asdict(step)} if isinstance(step, Progress) else {"report": step}


def _write(path: Path, document: dict[str, str]) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(document, file)
