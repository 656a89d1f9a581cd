"""Delivers alerts from the outbox to the receivers, with retries, until told or given up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import aiohttp

from tollway_processor.errors import TollwayError
from tollway_processor.ingest.counters import Counters
from tollway_processor.ingest.notices import Notices
from tollway_processor.signals.alerts.changes import Alert
from tollway_processor.signals.alerts.outbox import Outbox
from tollway_processor.signals.alerts.receivers import Receiver, UndeliveredError

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0
_LOOK_S = 5.0  # between two looks at the outbox: another processor may have written there


class Delivery:
    """Tells each receiver of each alert once; what a crash leaves open is told after the restart.

    A receiver that fails is tried again after 1, 2, 4, … 300 s and holds up no other. An answer
    that is lost makes a second delivery, which carries the same Idempotency-Key.
    """

    def __init__(
        self,
        outbox: Outbox,
        receivers: Sequence[Receiver],
        counters: Counters,
        *,
        give_up_s: float,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._receivers = receivers
        self._counters = counters
        self._give_up_s = give_up_s
        self._now_s = now_s
        self._notices = Notices(logger, period_s=60.0)
        self._new = {receiver.config.name: asyncio.Event() for receiver in receivers}

    def wake(self) -> None:
        """Look at the outbox now: alerts were raised. Called on the event loop."""
        for event in self._new.values():
            event.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver until `stopping` is set; what is open then waits for the next start."""
        async with aiohttp.ClientSession() as session:
            lines = [self._serve(receiver, session) for receiver in self._receivers]
            tasks = [asyncio.create_task(line) for line in lines]
            await stopping.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, receiver: Receiver, session: aiohttp.ClientSession) -> None:
        pause_s, attempts = FIRST_PAUSE_S, 0
        while True:
            try:
                open_alert = await self._serve_once(receiver, session, attempts)
            except TollwayError as error:
                self._notices.warn("alerts cannot be read from the store", str(error))
                open_alert = True
            if not open_alert:
                pause_s, attempts = FIRST_PAUSE_S, 0
                await self._wait(receiver)
                continue
            attempts += 1
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _serve_once(
        self, receiver: Receiver, session: aiohttp.ClientSession, attempts: int
    ) -> bool:
        """Tell what is waiting, in order; return whether one could not be delivered."""
        name = receiver.config.name
        # Twice the patience, so that what is too old is seen, and given up in words.
        since_s = int(self._now_s() - 2 * self._give_up_s)
        for alert in await asyncio.to_thread(self._outbox.waiting, name, since_s):
            if not receiver.wants(alert):
                continue
            try:
                await receiver.tell(alert, session)
            except UndeliveredError as error:
                self._counters.add("tollway_alert_failures_total", receiver=name)
                self._notices.warn(f"alert receiver {name}", str(error))
                if self._age_s(alert) < self._give_up_s:
                    return True
                await self._finish(alert, name, "given_up", attempts + 1, str(error))
            else:
                await self._finish(alert, name, "delivered", attempts + 1)
                attempts = 0
        return False

    async def _finish(
        self, alert: Alert, name: str, outcome: str, attempts: int, error: str = ""
    ) -> None:
        await asyncio.to_thread(self._outbox.finish, alert.alert_id, name, outcome, attempts, error)
        self._counters.add("tollway_alerts_total", receiver=name, outcome=outcome)

    def _age_s(self, alert: Alert) -> float:
        raised = datetime.strptime(alert.raised_at, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
        return self._now_s() - raised.timestamp()

    async def _wait(self, receiver: Receiver) -> None:
        event = self._new[receiver.config.name]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), _LOOK_S)
        event.clear()
