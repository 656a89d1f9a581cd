"""How the CLI reaches a running processor's store: statements over its SQL door, nothing else."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

from tollway_processor.errors import StoreError
from tollway_processor.store.client import Parameters
from tollway_processor.store.engine import literal

_PIECE_BYTES = 1024 * 1024
_MIDWAY = re.compile(
    rb"\r\n__exception__\r\n(?P<tag>\w+)\r\n(?P<text>.*)\n\d+ (?P=tag)\r\n__exception__\r\n\Z", re.S
)
_TAIL_BYTES = 32 * 1024  # an answer's last bytes, kept back until they are known to be data


class DoorClient:
    """A client of one door; each statement opens a connection of its own."""

    def __init__(self, url: str, *, password: str = "", timeout_s: float = 300.0) -> None:
        address = urlsplit(url)
        if address.scheme != "http" or not address.hostname or not address.port:
            raise StoreError(f"{url} is no address of a SQL door: it looks like http://HOST:PORT")
        self.url = url
        self._host, self._port = address.hostname, address.port
        self._password = password
        self._timeout_s = timeout_s

    def query(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        format: str = "JSONCompact",
        settings: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return a statement's whole result; StoreError with ClickHouse's code when it fails."""
        wanted = {"wait_end_of_query": "1", **(settings or {})}
        return b"".join(self.stream(sql, parameters, format=format, settings=wanted))

    def stream(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        format: str,
        settings: Mapping[str, str] | None = None,
    ) -> Iterator[bytes]:
        """Yield a statement's result in pieces; StoreError when it fails, midway too.

        `format` counts where the statement names none itself.
        """
        options = {"default_format": format, **(settings or {})}
        for name, value in (parameters or {}).items():
            options[f"param_{name}"] = literal(value)
        with self._answer(sql, options) as response:
            if response.status != 200:
                raise _error(response.read().decode(errors="replace"))
            yield from _pieces(response)

    @contextmanager
    def _answer(self, sql: str, options: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        headers = {"Content-Type": "text/plain; charset=UTF-8"}
        if self._password:
            headers["X-ClickHouse-Key"] = self._password
        try:
            connection.request("POST", f"/?{urlencode(options)}", sql.encode(), headers)
            yield connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise StoreError(f"the SQL door at {self.url} did not answer: {error!r}") from error
        finally:
            connection.close()


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the body, holding its end back: an answer broken off says why in its last bytes."""
    held = b""
    broken_by: http.client.IncompleteRead | None = None
    while True:
        try:
            piece = response.read1(_PIECE_BYTES)
        except http.client.IncompleteRead as error:
            piece, broken_by = error.partial, error
        held += piece
        if not piece or broken_by:
            break
        if len(held) > 2 * _TAIL_BYTES:
            yield held[:-_TAIL_BYTES]
            held = held[-_TAIL_BYTES:]
    midway = _MIDWAY.search(held)
    if midway:
        raise _error(midway["text"].decode(errors="replace"))
    if broken_by:
        raise broken_by
    yield held


def _error(text: str) -> StoreError:
    code = re.search(r"Code: (\d+)", text)
    return StoreError(text.strip(), code=int(code[1]) if code else 0)
