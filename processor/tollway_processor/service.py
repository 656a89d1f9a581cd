"""The running processor: store, group commit, receivers, roll-up, SQL door; start to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from tollway_processor import schema_files
from tollway_processor.config import Config
from tollway_processor.door.http import Door
from tollway_processor.errors import TollwayError
from tollway_processor.ingest.batcher import Batcher
from tollway_processor.ingest.counters import Counters
from tollway_processor.ingest.dead_letters import DeadLetters
from tollway_processor.receive.auth import Tokens
from tollway_processor.receive.grpc import GrpcReceiver
from tollway_processor.receive.http import HttpReceiver, Readiness
from tollway_processor.receive.intake import Intake
from tollway_processor.signals.evaluator import Evaluator
from tollway_processor.signals.rollup import Rollup
from tollway_processor.store.client import Store
from tollway_processor.store.embedded import EmbeddedStore
from tollway_processor.store.opening import folder_of, open_store

logger = logging.getLogger(__name__)
EVALUATION_INTERVAL_S = 2.0
_SHARE = 3  # the roll-up rests three times as long as it worked: a quarter of a core at most


@dataclass(frozen=True)
class Addresses:
    """Where the processor listens; empty text where it does not."""

    http: str
    grpc: str
    sql: str


class RollupLoop:
    """Runs the roll-up, and the evaluation of what it changed, again and again in a thread."""

    def __init__(self, store: Store, config: Config, safe_ns: Callable[[], int]) -> None:
        self._rollup = Rollup(store, safe_ns)
        self._evaluator = Evaluator(
            store,
            baselines=config.signals.baselines,
            window_days=config.signals.window_days,
        )
        self._interval_s = config.rollup_interval_s
        self._waiting: set[str] = set()
        self._evaluated_at = 0.0
        self._last_s = 0.0

    async def run(self, stopping: asyncio.Event) -> None:
        """Roll up until `stopping` is set, then once more."""
        while not stopping.is_set():
            await self._once(is_last=False)
            pause_s = max(self._interval_s, _SHARE * self._last_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause_s)
        await self._once(is_last=True)

    async def _once(self, *, is_last: bool) -> None:
        started_s = time.monotonic()
        try:
            await asyncio.to_thread(self._work, is_last)
        except TollwayError as error:
            logger.error("the roll-up failed and will run again: %s", error)
        self._last_s = time.monotonic() - started_s

    def _work(self, is_last: bool) -> None:
        self._waiting.update(self._rollup.run())
        is_due = time.monotonic() - self._evaluated_at >= EVALUATION_INTERVAL_S
        if self._waiting and (is_due or is_last):
            self._evaluator.run(sorted(self._waiting))
            self._waiting.clear()
            self._evaluated_at = time.monotonic()


@contextlib.asynccontextmanager
async def running(config: Config, tokens: Tokens) -> AsyncIterator[Addresses]:
    """Run the processor; on leaving, commit what was taken in, roll it up, and close the store.

    Raises UsageError, StoreHeldError or StoreError when something cannot be started.
    """
    store = await asyncio.to_thread(open_store, config.store, retention_days=config.retention_days)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(store.close)
        counters = Counters()
        batcher = Batcher(
            store,
            config.batch,
            counters=counters,
            dead_letters=_dead_letters(config),
            now_ns=await asyncio.to_thread(_clock_of, store),
        )
        stack.push_async_callback(batcher.close)
        intake = Intake(batcher, config.receive.limits, counters)
        await _start_rollup(stack, RollupLoop(store, config, batcher.committed_before_ns))
        stack.push_async_callback(batcher.drain)
        addresses = await _listen(stack, config, store, batcher, intake, tokens)
        if isinstance(store, EmbeddedStore):
            store.lock.publish(vars(addresses))
        yield addresses


async def _start_rollup(stack: contextlib.AsyncExitStack, loop: RollupLoop) -> None:
    stopping = asyncio.Event()
    task = asyncio.create_task(loop.run(stopping))

    async def finish() -> None:
        stopping.set()
        await task

    stack.push_async_callback(finish)


async def _listen(
    stack: contextlib.AsyncExitStack,
    config: Config,
    store: Store,
    batcher: Batcher,
    intake: Intake,
    tokens: Tokens,
) -> Addresses:
    receive = config.receive
    http = HttpReceiver(
        intake,
        tokens,
        tls=receive.tls,
        readiness=lambda: Readiness(not batcher.trouble, batcher.trouble or "ready"),
    )
    grpc = GrpcReceiver(intake, tokens, tls=receive.tls)
    door = Door(store, config.sql.listen, password=config.sql.password)
    scheme = "https" if receive.tls.certificate_file else "http"
    urls = {"http": "", "grpc": "", "sql": ""}
    if config.sql.listen and isinstance(store, EmbeddedStore):
        await door.start()
        stack.push_async_callback(door.stop)
        urls["sql"] = door.url
    if receive.grpc:
        await grpc.start(receive.grpc)
        stack.push_async_callback(grpc.stop)
        urls["grpc"] = f"{receive.grpc.rpartition(':')[0]}:{grpc.port}"
    if receive.http:
        await http.start(receive.http)
        stack.push_async_callback(http.stop)
        urls["http"] = f"{scheme}://{receive.http.rpartition(':')[0]}:{http.port}"
    return Addresses(**urls)


def _clock_of(store: Store) -> Callable[[], int]:
    """Return a clock (ns, UTC) that is never behind the store's newest commit.

    Were the machine's clock set back, new commits would stand before the roll-up's watermark.
    """
    rows = store.rows(schema_files.text("rollup/newest_stamp.sql"))
    newest_ns = int(str(rows[0]["stamp"]))
    return lambda: max(time.time_ns(), newest_ns + 1)


def _dead_letters(config: Config) -> DeadLetters:
    folder = folder_of(config.store) or Path("tollway-data")
    return DeadLetters(folder / "dead-letters", config.dead_letters)


async def serve(config: Config, tokens: Tokens, ready: Callable[[Addresses], None]) -> None:
    """Run the processor until SIGINT or SIGTERM; `ready` is called once it listens."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with running(config, tokens) as addresses:
        ready(addresses)
        await stopping.wait()
