"""The order of the files; a ClickHouse server in a process of its own, and a wire to it.

The wire can be cut, slowed and silenced.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_SERVER = Path(__file__).with_name("clickhouse_server.py")
_PIECE_BYTES = 1 << 16


class ClickHouse:
    """The SQL door, started writable, as the server for the real client."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = "http://127.0.0.1:0"
        self.start()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def store_url(self) -> str:
        return f"clickhouse://127.0.0.1:{self.port}/default"

    def start(self) -> None:
        """Start it, again on the port it had."""
        self._process = subprocess.Popen(
            [sys.executable, str(_SERVER), str(self._folder), str(self.port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.url = self._process.stdout.readline().strip()
        assert self.url, "the server did not start"

    def allow_writing(self, is_allowed: bool) -> None:
        """Give its user the right to write, or take it away."""
        print("writable" if is_allowed else "readonly", file=self._process.stdin, flush=True)
        assert self._process.stdout.readline() == "done\n"

    def command(self, sql: str) -> None:
        """Run a statement on it, past Tollway."""
        request = urllib.request.Request(self.url, sql.encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self._process.kill()
        self._close()

    def stop(self) -> None:
        """Let it end what it does."""
        self._process.stdin.close()
        self._close()

    def _close(self) -> None:
        self._process.wait(60)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class Wire:
    """A TCP proxy on a port of its own, for as long as its `with` lasts.

    Cut, it drops what is open and what comes. Each piece of an answer waits `delay_s`. The answers
    to the next `swallowed` inserts are dropped with their connections, after the server gave them.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.is_cut = False
        self.delay_s = 0.0
        self.swallowed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def store_url(self) -> str:
        return f"clickhouse://127.0.0.1:{self.port}/default"

    def close(self) -> None:
        """Take no more connections, and drop those that are open."""
        self.is_cut = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return  # closed
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if not self.is_cut:
                with socket.create_connection(("127.0.0.1", self._target)) as server:
                    self._relay(client, server)

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        is_insert = False
        while not self.is_cut:
            for source in select.select([client, server], [], [], 0.02)[0]:
                piece = source.recv(_PIECE_BYTES)
                if not piece:
                    return
                if source is client:
                    is_insert |= b"insert_deduplication_token" in piece
                    server.sendall(piece)
                    continue
                if is_insert and self.swallowed:
                    self.swallowed -= 1
                    return
                is_insert = False
                time.sleep(self.delay_s)
                client.sendall(piece)


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """A server for one module; it has no table yet."""
    server = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
    yield server
    server.stop()


@pytest.fixture
def wire() -> Iterator[Callable[[int], Wire]]:
    """Lays wires to ports."""
    with contextlib.ExitStack() as stack:

        def lay(port: int) -> Wire:
            laid = Wire(port)
            stack.callback(laid.close)
            return laid

        yield lay


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that hold slow tests: one left for the end would keep a core waiting."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
