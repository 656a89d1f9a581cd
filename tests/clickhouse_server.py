"""ClickHouse's HTTP interface for tests: the SQL door, writable, on a folder and a port.

python clickhouse_server.py FOLDER PORT: tells its URL on stdout, ends when stdin does. A line
`readonly` on stdin takes the right to write from its one user, a line `writable` gives it back.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from tollway_processor.door.http import Door
from tollway_processor.store.engine import Engine


class Bare:
    """The engine of a folder, without any table of Tollway's."""

    def __init__(self, folder: str) -> None:
        self.engine = Engine(folder)
        self.is_readonly = False

    @contextlib.contextmanager
    def session(self):
        """Lend a session."""
        with self.engine.session(fresh=True) as session:
            if self.is_readonly:
                session.query("SET readonly = 2")
            yield session

    def obey(self):
        """Take orders from stdin until it ends."""
        for line in sys.stdin:
            self.is_readonly = line.strip() == "readonly"
            print("done", flush=True)


async def main() -> None:
    folder, port = sys.argv[1:]
    store = Bare(folder)
    door = Door(store, f"127.0.0.1:{port}", writable=True)
    await door.start()
    print(door.url, flush=True)
    await asyncio.to_thread(store.obey)
    await door.stop()
    store.engine.close()


asyncio.run(main())
