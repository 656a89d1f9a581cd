"""Own a bare engine behind a writable SQL door: the ClickHouse server that a collector writes to.

`python ingest_door.py FOLDER` prints the door's URL and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractContextManager
from typing import Any

from tollway_processor.door.http import Door
from tollway_processor.store.engine import MIB, Engine


class Bare:
    """The engine alone, as the door wants a store; with room for what a collector piles up."""

    def __init__(self, folder: str) -> None:
        self.engine = Engine(folder, memory_bytes=6144 * MIB)

    def session(self) -> AbstractContextManager[Any]:
        """Lend an engine session of its own."""
        return self.engine.session(fresh=True)


async def _serve(folder: str) -> None:
    store = Bare(folder)
    door = Door(store, "127.0.0.1:0", writable=True)
    await door.start()
    print(door.url, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await door.stop()
    store.engine.close()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
