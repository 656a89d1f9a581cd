"""Evaluates routes whose statistics changed, and writes what it finds to the store."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from tollway_processor.signals.arms import (
    Query,
    RouteArms,
    Slice,
    read_arms,
    read_rolled_back,
    read_traffic,
    store_query,
    with_pairs,
)
from tollway_processor.signals.evaluate import Evaluation, Task, dearest, evaluate_all, variants
from tollway_processor.signals.policy import SignalsConfig
from tollway_processor.signals.record import write
from tollway_processor.signals.sides import SIDE_BY_SIDE
from tollway_processor.store.client import Store

DAY_S = 86_400
_ROUTES_A_STEP = 100  # between two looks at the clock; each step reads all traces anew
_FEWEST_TRACES = 20  # of a release, before it is one that others are compared with


class Evaluator:
    """Compares, on each changed route, every variant with the baseline.

    A route that declares no baseline takes the variant that costs most a trace. `told` is called
    with what is about to be written.
    """

    def __init__(
        self,
        store: Store,
        config: SignalsConfig | None = None,
        told: Callable[[Sequence[Evaluation]], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._told = told
        self._config = config or SignalsConfig()

    @property
    def since_s(self) -> int:
        """Where the window of traces starts now (s since 1970, UTC)."""
        return int(time.time()) - self._config.window_days * DAY_S

    def run(self, routes: Sequence[str], budget_s: float = math.inf) -> list[str]:
        """Evaluate the routes in their order and write signals and verdicts, for a time at most.

        Returns the routes that were evaluated; the others wait for the next run.
        """
        until_s = time.monotonic() + budget_s
        done: list[str] = []
        while len(done) < len(routes) and time.monotonic() < until_s:
            some = routes[len(done) : len(done) + _ROUTES_A_STEP]
            evaluations = self._evaluate(some)
            # Alerts first: after a crash in between the routes are evaluated, and told, anew.
            self._told(evaluations)
            write(self._store, evaluations, now_text())
            done += some
        return done

    def _evaluate(self, routes: Sequence[str]) -> list[Evaluation]:
        query = store_query(self._store.query)
        starts: dict[int, list[str]] = {}
        for route in routes:
            starts.setdefault(start_s(route, self._config), []).append(route)
        evaluations = []
        for dimension in self._config.dimensions:
            for since_s, some in starts.items():
                cut = Slice(since_s, dimension)
                evaluations += evaluate_routes(query, some, cut, self._config)
        return evaluations


def start_s(route: str, config: SignalsConfig) -> int:
    """Return where the traces of a route's comparisons start now (s since 1970, UTC)."""
    window_s = int(time.time()) - config.window_days * DAY_S
    return max(window_s, config.route(route).since_s)


def now_text() -> str:
    """Return the time as route_signals and route_verdicts take it."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def evaluate_routes(
    query: Query, routes: Sequence[str], cut: Slice, config: SignalsConfig
) -> list[Evaluation]:
    """Return the evaluation of the candidates of the routes in a slice of their traces.

    Variants and models are all compared with the baseline; of releases, prompt versions and
    periods the newest is compared with the one before.
    """
    traffic = read_traffic(query, routes, cut, config)
    routes = [route for route in routes if route in traffic and len(traffic[route].sides) > 1]
    succession = {}
    if cut.dimension not in SIDE_BY_SIDE:
        found = {route: traffic[route].newest_two(_FEWEST_TRACES) for route in routes}
        succession = {route: pair for route, pair in found.items() if pair is not None}
        routes = [route for route in routes if route in succession]
    if not routes:
        return []
    rolled_back = read_rolled_back(query, routes, cut.since_s)
    tasks = []
    for route, arms in read_arms(query, routes, cut, config, traffic).items():
        baseline, candidates = _compared(route, arms, succession.get(route), config)
        if not candidates:
            continue
        mirrored = with_pairs(query, arms, route, baseline, cut, config)
        for candidate in candidates:
            key = (route, cut.label(baseline), cut.label(candidate))
            stands = rolled_back.get(key)
            tasks.append(Task(route, mirrored, baseline, candidate, cut.dimension, stands))
    return evaluate_all(tasks, config)


def _compared(
    route: str, arms: RouteArms, succession: tuple[str, str] | None, config: SignalsConfig
) -> tuple[str, list[str]]:
    """Return the baseline and what is compared with it."""
    if succession is not None:
        return succession[0], [succession[1]]
    baseline = baseline_of(arms, config.route(route).baseline)
    if baseline is None:
        return "", []
    return baseline, [side for side in variants(arms) if side != baseline]


def baseline_of(arms: RouteArms, declared: str) -> str | None:
    """Return the side that others are compared with; None where there is nothing to compare."""
    present = variants(arms)
    if len(present) < 2:
        return None
    return declared if declared in present else dearest(arms)
