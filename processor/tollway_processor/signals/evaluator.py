"""Evaluates routes whose statistics changed, and writes what it finds to the store."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from tollway_processor.signals.arms import Query, read_arms, read_rolled_back
from tollway_processor.signals.evaluate import Evaluation, RouteArms, dearest, evaluate, variants
from tollway_processor.signals.record import write
from tollway_processor.store.client import Store

DAY_S = 86_400


class Evaluator:
    """Compares, on each changed route, every variant with the baseline.

    baselines: route to variant; a route without one takes the variant that costs most a trace.
    """

    def __init__(
        self, store: Store, *, baselines: Mapping[str, str] | None = None, window_days: int = 28
    ) -> None:
        self._store = store
        self._baselines = dict(baselines or {})
        self._window_days = window_days

    @property
    def since_s(self) -> int:
        """Where the window of traces starts now (s since 1970, UTC)."""
        return int(time.time()) - self._window_days * DAY_S

    def run(self, routes: Sequence[str]) -> list[Evaluation]:
        """Evaluate the routes and write their signals and verdicts; return them."""
        if not routes:
            return []
        evaluations = evaluate_routes(self._store.rows, routes, self.since_s, self._baselines)
        write(self._store, evaluations, datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3])
        return evaluations


def evaluate_routes(
    query: Query, routes: Sequence[str], since_s: int, baselines: Mapping[str, str]
) -> list[Evaluation]:
    """Return the evaluation of every candidate of the routes since a time (s since 1970, UTC)."""
    rolled_back = read_rolled_back(query, routes, since_s)
    return [
        evaluate(
            route,
            arms,
            baseline,
            candidate,
            was_rolled_back=(route, baseline, candidate) in rolled_back,
        )
        for route, arms in read_arms(query, routes, since_s).items()
        for baseline, candidate in _pairs(arms, baselines.get(route))
    ]


def _pairs(arms: RouteArms, declared: str | None) -> list[tuple[str, str]]:
    present = variants(arms)
    if len(present) < 2:
        return []
    baseline = declared if declared in present else dearest(arms)
    return [(baseline, candidate) for candidate in present if candidate != baseline]
