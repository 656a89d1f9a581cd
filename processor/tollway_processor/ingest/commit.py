"""One batch into the store: what the engine refuses is bisected down to the fault.

Runs in a store thread. The order of batches and their answers are left to batcher.py.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence

from tollway_processor.errors import PermanentError, RetryableError, StoreError, TollwayError
from tollway_processor.ingest.counters import Counters
from tollway_processor.ingest.dead_letters import DeadLetter, DeadLetters
from tollway_processor.ingest.notices import Notices
from tollway_processor.ingest.split import halves, item_count
from tollway_processor.ingest.stamps import Stamps
from tollway_processor.store.client import Delivery, Signal, Store

logger = logging.getLogger(__name__)

# Refused spans of one delivery as (reason, count), or the error that its sender gets.
Refused = list[tuple[str, int]]
Outcome = Refused | TollwayError

_SPLITS = 64  # statements spent on the spans of one request; each costs some 60 ms


class Commit:
    """Stores batches; each method may be called from several threads at once."""

    def __init__(
        self,
        store: Store,
        stamps: Stamps,
        counters: Counters,
        dead_letters: DeadLetters | None = None,
    ) -> None:
        self._client = store
        self._stamps = stamps
        self._counters = counters
        self._dead_letters = dead_letters
        self._notices = Notices(logger)

    def store(self, signal: Signal, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Commit `deliveries`; return one outcome for each, in order. Raises nothing.

        A batch that the engine cannot decode is halved until the request at fault is alone; that
        one is halved by its spans, and what is left goes to the dead letters. Any other failure,
        a fault of our own too, is a retryable one: it must not cost a span.
        """
        try:
            return self._store(signal, deliveries)
        except RetryableError as error:
            self._notices.warn("store", str(error))
            return [error] * len(deliveries)
        except StoreError as error:
            self._notices.warn("store", str(error))
            return [RetryableError(f"the store failed: {error}")] * len(deliveries)
        except Exception as error:  # the one place that answers for a bug
            logger.exception("storing %d requests of %s failed", len(deliveries), signal)
            fault = RetryableError(f"the store failed: {type(error).__name__}")
            return [fault] * len(deliveries)

    def _store(self, signal: Signal, deliveries: Sequence[Delivery]) -> list[Outcome]:
        try:
            return list(self._ingest(signal, deliveries))
        except PermanentError as error:
            self._counters.add("tollway_commits_split_total", signal=signal)
            if len(deliveries) == 1:
                return [self._spans(signal, deliveries[0], error)]
        middle = len(deliveries) // 2
        first = self.store(signal, deliveries[:middle])
        return first + self.store(signal, deliveries[middle:])

    def _ingest(self, signal: Signal, deliveries: Sequence[Delivery]) -> list[Refused]:
        # A stamp a statement: the store keeps refused spans under it.
        with self._stamps.next() as stamp_ns:
            refusals = self._client.ingest(
                signal, deliveries, token=uuid.uuid4().hex, ingested_at_ns=stamp_ns
            )
        refused: list[dict[str, int]] = [{} for _ in deliveries]
        for index, reason, count in refusals:
            refused[index][reason] = refused[index].get(reason, 0) + count
        return [list(reasons.items()) for reasons in refused]

    def _spans(self, signal: Signal, delivery: Delivery, error: PermanentError) -> Outcome:
        """Store the good spans of a request that failed; refuse and keep the rest."""
        refused: Refused = []
        bad: list[tuple[bytes, str]] = []
        waiting, splits, has_stored = [(delivery.body, str(error))], 0, False
        while waiting:
            body, cause = waiting.pop()
            parts = halves(signal, body) if splits < _SPLITS else None
            if parts is None:
                bad.append((body, cause))
                continue
            for part in parts:
                splits += 1
                try:
                    stored = self._ingest(signal, [Delivery(part, delivery.project)])
                except PermanentError as failure:
                    waiting.append((part, str(failure)))
                else:
                    has_stored = True
                    refused.extend(stored[0])
        if not has_stored:
            self._bury(signal, delivery, delivery.body, str(error))
            return error
        for body, cause in bad:
            self._bury(signal, delivery, body, cause)
            refused.append((cause, item_count(signal, body)))
        return refused

    def _bury(self, signal: Signal, delivery: Delivery, body: bytes, cause: str) -> None:
        if delivery.is_replay:
            return  # it lies among the dead letters already
        self._counters.add("tollway_dead_letters_total", signal=signal)
        self._notices.warn(f"dead letter of {signal}", f"{len(body)} bytes: {cause}")
        if self._dead_letters is not None:
            self._dead_letters.append(DeadLetter(signal, body, delivery.project, cause))
