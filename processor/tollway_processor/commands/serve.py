"""`tollway serve` and `tollway migrate`: the processor, and its tables alone."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping

from tollway_processor.config import Config
from tollway_processor.logs import set_up
from tollway_processor.receive.auth import load_tokens
from tollway_processor.service import Addresses, serve
from tollway_processor.store.opening import open_store, without_password

logger = logging.getLogger(__name__)


def run_serve(config: Config, environment: Mapping[str, str]) -> int:
    """Run the processor until SIGINT or SIGTERM."""
    tokens = load_tokens(config.receive.tokens, environment)
    set_up(config.log_format)

    def ready(addresses: Addresses) -> None:
        told = ", ".join(f"{name} {where}" for name, where in vars(addresses).items() if where)
        line = f"tollway serves {without_password(config.store)}: {told}"
        if config.log_format == "json":
            logger.info(line)
        else:
            print(line, file=sys.stderr, flush=True)

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
    print(f"{without_password(config.store)} is up to date", file=sys.stderr)
    return 0
