"""`tollway serve` and `tollway migrate`: the processor, and its tables alone."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping

from tollway_processor.config import Config
from tollway_processor.receive.auth import load_tokens
from tollway_processor.service import Addresses, serve
from tollway_processor.store.opening import open_store


def run_serve(config: Config, environment: Mapping[str, str]) -> int:
    """Run the processor until SIGINT or SIGTERM."""
    tokens = load_tokens(config.receive.tokens, environment)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )

    def ready(addresses: Addresses) -> None:
        told = ", ".join(f"{name} {where}" for name, where in vars(addresses).items() if where)
        print(f"tollway serves {config.store}: {told}", file=sys.stderr, flush=True)

    asyncio.run(serve(config, tokens, ready))
    return 0


def run_migrate(config: Config) -> int:
    """Bring the store's tables up to date and say what was applied."""
    store = open_store(config.store)
    try:
        names = store.migrated
    finally:
        store.close()
    for name in names:
        print(f"applied {name}", file=sys.stderr)
    print(f"{config.store} is up to date", file=sys.stderr)
    return 0
