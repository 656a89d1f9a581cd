"""The running processor: store, group commit, receivers, roll-up, SQL door; start to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tollway_processor import schema_files
from tollway_processor.allocator import give_back_large_blocks
from tollway_processor.config import Config
from tollway_processor.door.http import Door
from tollway_processor.door.session import Limits as DoorLimits
from tollway_processor.ingest.batcher import Batcher
from tollway_processor.ingest.counters import Counters
from tollway_processor.ingest.dead_letters import DeadLetters
from tollway_processor.pricing.control import Control
from tollway_processor.pricing.current import CurrentPrices
from tollway_processor.pricing.watch import watch
from tollway_processor.receive.auth import Tokens
from tollway_processor.receive.grpc import GrpcReceiver
from tollway_processor.receive.http import HttpReceiver, Readiness
from tollway_processor.receive.intake import Intake
from tollway_processor.signals.alerts.delivery import Delivery
from tollway_processor.signals.alerts.outbox import Outbox
from tollway_processor.signals.alerts.receivers import receivers
from tollway_processor.signals.loop import SignalsLoop
from tollway_processor.store.client import Store
from tollway_processor.store.embedded import EmbeddedStore
from tollway_processor.store.opening import folder_of, open_store
from tollway_processor.vitals import Vitals

logger = logging.getLogger(__name__)
_STOP_GRACE_S = 20.0  # beyond the drain: answers on their way, the last roll-up, the closing


@dataclass(frozen=True)
class Addresses:
    """Where the processor listens; empty text where it does not."""

    http: str
    grpc: str
    sql: str


@contextlib.asynccontextmanager
async def running(config: Config, tokens: Tokens) -> AsyncIterator[Addresses]:
    """Run the processor; on leaving, commit what was taken in, roll it up, and close the store.

    Raises UsageError, StoreHeldError or StoreError when something cannot be started.
    """
    store = await asyncio.to_thread(
        open_store,
        config.store,
        retention_days=config.retention_days,
        limits=config.receive.limits,
        engine=config.engine,
        server=config.server,
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, store.close)
        prices = CurrentPrices(store, config.prices)
        await asyncio.to_thread(prices.apply)
        counters = Counters()
        dead_letters = dead_letters_of(config)
        batcher = Batcher(
            store,
            config.batch,
            counters=counters,
            dead_letters=dead_letters,
            now_ns=await asyncio.to_thread(clock_of, store),
        )
        stack.push_async_callback(batcher.close)
        intake = Intake(batcher, config.receive.limits, counters)
        vitals = Vitals(store, counters, dead_letters, config.retention_days)
        await _start_loop(stack, vitals.run)
        outbox = Outbox(store)
        told = receivers(config.alerts.receivers, config.alerts.link, os.environ)
        delivery = Delivery(outbox, told, counters, give_up_s=config.alerts.give_up_s)
        await _start_loop(stack, delivery.run)
        signals = SignalsLoop(
            store, config, batcher.committed_before_ns, counters, outbox, delivery.wake
        )
        await _start_loop(stack, signals.run)
        await _start_loop(stack, partial(watch, prices))
        if isinstance(store, EmbeddedStore):
            control = Control(store, prices, batcher.stamp)
            await control.start()
            stack.push_async_callback(control.stop)
        addresses = await _listen(stack, config, store, batcher, intake, tokens)
        # The receivers stop after that, when every sender has its answer.
        stack.push_async_callback(batcher.drain)
        stack.callback(intake.budget.drain)
        if isinstance(store, EmbeddedStore):
            store.lock.publish(vars(addresses))
        yield addresses


async def _start_loop(
    stack: contextlib.AsyncExitStack, run: Callable[[asyncio.Event], Coroutine[None, None, None]]
) -> None:
    stopping = asyncio.Event()
    task = asyncio.create_task(run(stopping))

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
        readiness=partial(_readiness, store, batcher),
    )
    grpc = GrpcReceiver(intake, tokens, tls=receive.tls)
    limits = DoorLimits(max_memory_usage=config.read_memory_bytes)
    door = Door(store, config.sql.listen, password=config.sql.password, limits=limits)
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


def _readiness(store: Store, batcher: Batcher) -> Readiness:
    """Not ready while commits fail; a part that was set aside does not stop them."""
    if batcher.trouble:
        return Readiness(False, batcher.trouble)
    damage = store.damage if isinstance(store, EmbeddedStore) else ""
    return Readiness(True, f"ready; {damage}" if damage else "ready")


def clock_of(store: Store) -> Callable[[], int]:
    """Return a clock (ns, UTC) that is never behind the store's newest commit.

    Were the machine's clock set back, new commits would stand before the roll-up's watermark.
    """
    rows = store.rows(schema_files.text("rollup/newest_stamp.sql"))
    newest_ns = int(str(rows[0]["stamp"]))
    return lambda: max(store.now_ns(), newest_ns + 1)


def dead_letters_of(config: Config) -> DeadLetters:
    """Return the dead letters beside the store, or in the working folder for a server."""
    folder = folder_of(config.store) or Path("tollway-data")
    return DeadLetters(folder / "dead-letters", config.dead_letters)


async def serve(config: Config, tokens: Tokens, ready: Callable[[Addresses], None]) -> None:
    """Run the processor until SIGINT or SIGTERM; `ready` is called once it listens.

    The first signal drains, a second one ends the process at once, as does a drain that takes
    longer than it may.
    """
    give_back_large_blocks()
    _open_files_as_many_as_allowed()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    deadline = threading.Timer(config.batch.drain_s + _STOP_GRACE_S, _end, ["did not stop in time"])
    deadline.daemon = True

    def stop(number: int) -> None:
        if stopping.is_set():
            _end(f"was told twice to stop ({signal.Signals(number).name})")
        stopping.set()
        deadline.start()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    async with running(config, tokens) as addresses:
        ready(addresses)
        await stopping.wait()


def _open_files_as_many_as_allowed() -> None:
    """Raise the soft limit to the hard one: the usual 1,024 are gone with as many connections.

    The engine would then find no file for a part, and every commit fail.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:  # macOS names a hard limit that it does not grant
        logger.info("the limit of open files stays as it is: %s", error)


def _end(why: str) -> None:
    """End the process now: what was answered is stored, a running statement is as if never run.

    Not by leaving the interpreter, which would crash while the engine works in other threads.
    """
    logger.warning("the processor %s and ends at once; the store is safe", why)
    os._exit(1)
