"""Evaluates routes whose statistics changed, and writes what it finds to the store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from tollway_processor.signals.arms import (
    Query,
    RouteArms,
    Slice,
    read_arms,
    read_rolled_back,
    store_query,
    with_pairs,
)
from tollway_processor.signals.evaluate import Evaluation, Task, dearest, evaluate_all, variants
from tollway_processor.signals.policy import SignalsConfig
from tollway_processor.signals.record import write
from tollway_processor.store.client import Store

DAY_S = 86_400


class Evaluator:
    """Compares, on each changed route, every variant with the baseline.

    A route that declares no baseline takes the variant that costs most a trace.
    """

    def __init__(self, store: Store, config: SignalsConfig | None = None) -> None:
        self._store = store
        self._config = config or SignalsConfig()

    @property
    def since_s(self) -> int:
        """Where the window of traces starts now (s since 1970, UTC)."""
        return int(time.time()) - self._config.window_days * DAY_S

    def run(self, routes: Sequence[str]) -> list[Evaluation]:
        """Evaluate the routes and write their signals and verdicts; return them."""
        if not routes:
            return []
        cut = Slice(since_s=self.since_s)
        evaluations = evaluate_routes(store_query(self._store.query), routes, cut, self._config)
        write(self._store, evaluations, datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3])
        return evaluations


def evaluate_routes(
    query: Query, routes: Sequence[str], cut: Slice, config: SignalsConfig
) -> list[Evaluation]:
    """Return the evaluation of every candidate of the routes in a slice of their traces."""
    rolled_back = read_rolled_back(query, routes, cut.since_s)
    tasks = []
    for route, arms in read_arms(query, routes, cut, config).items():
        baseline = baseline_of(arms, config.route(route).baseline)
        if baseline is None:
            continue
        mirrored = with_pairs(query, arms, route, baseline, cut, config)
        tasks += [
            Task(
                route,
                mirrored,
                baseline,
                candidate,
                cut.dimension,
                (route, baseline, candidate) in rolled_back,
            )
            for candidate in variants(arms)
            if candidate != baseline
        ]
    return evaluate_all(tasks, config)


def baseline_of(arms: RouteArms, declared: str) -> str | None:
    """Return the side that others are compared with; None where there is nothing to compare."""
    present = variants(arms)
    if len(present) < 2:
        return None
    return declared if declared in present else dearest(arms)
