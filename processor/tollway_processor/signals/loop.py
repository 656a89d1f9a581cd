"""The processor's loop over signals: roll-up, evaluation, alerts; again and again, in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence

from tollway_processor import schema_files
from tollway_processor.config import Config
from tollway_processor.errors import TollwayError
from tollway_processor.ingest.counters import Counters
from tollway_processor.ingest.notices import Notices
from tollway_processor.signals.alerts.outbox import Outbox
from tollway_processor.signals.alerts.standing import Standing
from tollway_processor.signals.evaluate import Evaluation
from tollway_processor.signals.evaluator import Evaluator
from tollway_processor.signals.rollup import Rollup
from tollway_processor.store.client import Store

logger = logging.getLogger(__name__)
EVALUATION_INTERVAL_S = 2.0
EVALUATION_BUDGET_S = 2.5
_ROLLUP_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# Half a second of planning is the same for one trace as for thousands: it rests three times as long
# as it worked, a quarter of a core, and longer the more there was to take at once; but no longer
# than it worked where it would fall behind without end.
_SHARE = 3
_TRACES_A_SECOND_OF_REST = 1000
# A trace may come in just after a run looked for it, and waits for that run, the rest and the next
# run: its row may be 10 s behind, a verdict that has seen it 15 s.
_MOST_LAG_S = 10.0
LONGEST_REST_S = 6.0


class SignalsLoop:
    """Runs the roll-up, the evaluation of what it changed, and the alerts of that, in a thread.

    `alerted` is called on the event loop when alerts were raised.
    """

    def __init__(
        self,
        store: Store,
        config: Config,
        safe_ns: Callable[[], int],
        counters: Counters,
        outbox: Outbox,
        alerted: Callable[[], None],
    ) -> None:
        self._counters = counters
        self._notices = Notices(logger)
        self._complete_at = time.monotonic()
        counters.gauge("tollway_rollup_lag_seconds", lambda: time.monotonic() - self._complete_at)
        self._rollup = Rollup(store, safe_ns)
        self._outbox = outbox
        self._alerted = alerted
        self._standing = Standing(store, counters)
        self._evaluator = Evaluator(store, config.signals, self._tell)
        self._interval_s = config.rollup_interval_s
        self._waiting = dict.fromkeys(_unevaluated(store))
        self._evaluated_at = 0.0
        self._is_behind = False
        self._last_s = 0.0

    async def run(self, stopping: asyncio.Event) -> None:
        """Roll up until `stopping` is set, then once more."""
        self._events = asyncio.get_running_loop()
        while not stopping.is_set():
            await self._once(is_last=False)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), self._rest_s())
        await self._once(is_last=True)

    def _rest_s(self) -> float:
        """Return the seconds to rest: only as many as were worked while evaluations are behind."""
        if self._is_behind:
            rest_s = self._last_s
        else:
            spread_s = self._rollup.touched / _TRACES_A_SECOND_OF_REST
            most_s = max(_MOST_LAG_S - 2 * self._last_s, self._last_s)
            rest_s = min(max(_SHARE * self._last_s, spread_s), most_s)
        return max(self._interval_s, min(rest_s, LONGEST_REST_S))

    async def _once(self, *, is_last: bool) -> None:
        started_s = time.monotonic()
        try:
            await asyncio.to_thread(self._work, is_last)
            self._complete_at = started_s
        except TollwayError as error:
            self._counters.add("tollway_rollup_failures_total")
            self._notices.warn("the roll-up failed and will run again", str(error))
        except Exception:  # the one place that answers for a bug
            self._counters.add("tollway_rollup_failures_total")
            logger.exception("the roll-up failed and will run again")
        self._last_s = time.monotonic() - started_s
        self._counters.observe("tollway_rollup_seconds", self._last_s, _ROLLUP_SECONDS)

    def _work(self, is_last: bool) -> None:
        for route in self._rollup.run():
            self._waiting.setdefault(route)
        is_due = time.monotonic() - self._evaluated_at >= EVALUATION_INTERVAL_S
        if self._waiting and (is_due or is_last):
            # The longest waiting first, and only for a while: the roll-up must not wait for all.
            for route in self._evaluator.run(list(self._waiting), EVALUATION_BUDGET_S):
                self._waiting.pop(route)
            self._evaluated_at = time.monotonic()
            self._is_behind = bool(self._waiting)

    def _tell(self, evaluations: Sequence[Evaluation]) -> None:
        self._standing.update(evaluations)
        if self._outbox.raise_alerts(evaluations, self._evaluator.since_s):
            self._events.call_soon_threadsafe(self._alerted)


def _unevaluated(store: Store) -> list[str]:
    """Routes that a crash cut off between their statistics and their signals."""
    rows = store.rows(schema_files.text("rollup/unevaluated_routes.sql"))
    return [str(row["route"]) for row in rows]
