"""ClickHouse's HTTP interface for tests: the SQL door, writable, on a folder and a port.

python clickhouse_server.py FOLDER PORT: tells its URL on stdout, ends when stdin does.
"""

from __future__ import annotations

import asyncio
import sys

from tollway_processor.door.http import Door
from tollway_processor.store.engine import Engine


class Bare:
    """The engine of a folder, without any table of Tollway's."""

    def __init__(self, folder: str) -> None:
        self.engine = Engine(folder)

    def session(self):
        """Lend a session."""
        return self.engine.session(fresh=True)


async def main() -> None:
    folder, port = sys.argv[1:]
    store = Bare(folder)
    door = Door(store, f"127.0.0.1:{port}", writable=True)
    await door.start()
    print(door.url, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await door.stop()
    store.engine.close()


asyncio.run(main())
