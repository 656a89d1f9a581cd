"""Takes over rows of `prices` that SQL has changed while the processor runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from tollway_processor.errors import TollwayError
from tollway_processor.pricing.current import CurrentPrices

logger = logging.getLogger(__name__)
LOOK_EVERY_S = 15.0


async def watch(prices: CurrentPrices, stopping: asyncio.Event) -> None:
    """Look at the table again and again until `stopping` is set."""
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), LOOK_EVERY_S)
            return
        try:
            if await asyncio.to_thread(prices.refresh):
                logger.info("the prices have changed; `tollway reprice` applies them to the past")
        except TollwayError as error:
            logger.warning("the prices could not be read: %s", error)
