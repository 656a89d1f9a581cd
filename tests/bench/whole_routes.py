"""Whole routes watched through the evaluate path: all metrics and cohorts at once, to a verdict.

Twelve rates and three means on three cohorts of 70, 26 and 4 % of the traffic, 90/10, beside z tests
of the same cells looked at as often.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from vectorised import Array

from tollway_processor.signals.arms import RouteArms
from tollway_processor.signals.evaluate import Evaluation, Task, evaluate_all
from tollway_processor.signals.statistics import Arm, Decision

COHORTS = {"easy": 0.7, "refund": 0.26, "closure": 0.04}
RATES = {
    "error": 0.01, "truncated": 0.01, "refused": 0.02, "tool_error": 0.05,
    "invalid_tool_arguments": 0.02, "score_fail:json_valid": 0.03, "score_fail:grounded": 0.08,
    "score_fail:cited": 0.05, "score_fail:polite": 0.01, "outcome:escalation": 0.02,
    "outcome:refund": 0.01, "outcome:thumbs_down": 0.05,
}  # fmt: skip
MEANS = {"log_cost_usd": 1.0, "log_duration_ms": 0.5, "score:grounded": 0.15}
Z_ONE_SIDED = 1.6449


@dataclass
class World:
    """How the candidate differs, and how the traffic is shared over time."""

    harms: dict[tuple[str, str], float] = field(default_factory=dict)
    "(cohort, rate) to what the candidate's rate is higher by."
    saving: float = 0.0
    "What the candidate's logarithm of cost is lower by."
    drift: float = 0.0
    "How much cohort `closure` grows and the candidate's share with it, over the run (0 to 1)."


@dataclass
class Found:
    """When each run first said it, in candidate traces; inf for never."""

    rollback: Array
    promote: Array
    cheaper_but_worse: Array
    z_test: Array


class Route:
    """The sums of one simulated route."""

    def __init__(self, rng: np.random.Generator, world: World) -> None:
        self._rng = rng
        self._world = world
        self._arms: dict[tuple[str, str, str], Arm] = {}
        self._epochs: dict[tuple[str, str, str], dict[int, Arm]] = {}
        self._looks = 0

    def grow(self, traces: int, progress: float) -> None:
        """Add a stretch with about so many candidate traces."""
        rng, drift = self._rng, self._world.drift * progress
        closure = COHORTS["closure"] + 0.5 * drift
        rest = (1 - closure) / (1 - COHORTS["closure"])
        share = 0.1 + 0.4 * drift
        for cohort, part in COHORTS.items():
            weight = closure if cohort == "closure" else part * rest
            for side, factor in (("teacher", (1 - share) / share), ("student", 1.0)):
                n = int(rng.poisson(weight * traces * factor))
                self._add(cohort, side, n, 4 if cohort == "closure" and drift else 1)
        self._looks += 1

    def _add(self, cohort: str, side: str, n: int, hardness: float) -> None:
        rng, world = self._rng, self._world
        for name, rate in RATES.items():
            harm = world.harms.get((cohort, name), 0.0) if side == "student" else 0.0
            bad = float(rng.binomial(n, min(rate * hardness + harm, 1.0)))
            self._put(cohort, side, name, Arm(n, bad, bad, n, bad, bad, n))
        for name, spread in MEANS.items():
            saved = world.saving if side == "student" and name == "log_cost_usd" else 0.0
            values = rng.normal(0.5 * (name == "score:grounded") - saved, spread, n)
            total, squares = float(values.sum()), float((values**2).sum())
            self._put(cohort, side, name, Arm(n, total, squares, n, squares, total, n))

    def _put(self, cohort: str, side: str, name: str, arm: Arm) -> None:
        key = (cohort, side, name)
        self._arms[key] = self._arms[key] + arm if key in self._arms else arm
        self._epochs.setdefault(key, {})[self._looks] = arm

    def task(self) -> Task:
        """Return the route as it stands; epochs only where the share drifts."""
        epochs = self._epochs if self._world.drift else {}
        return Task("route", RouteArms(dict(self._arms), epochs), "teacher", "student")

    def has_z_alarm(self) -> bool:
        """Say whether a one-sided z test of any rate's cell is below 5 %."""
        for cohort in COHORTS:
            for name in RATES:
                b, c = (self._arms[cohort, side, name] for side in ("teacher", "student"))
                if min(b.n, c.n) < 20:
                    continue
                pooled = (b.total + c.total) / (b.n + c.n)
                error = math.sqrt(max(pooled * (1 - pooled) * (1 / b.n + 1 / c.n), 1e-12))
                if (c.mean - b.mean) / error > Z_ONE_SIDED:
                    return True
        return False


def watch(rng: np.random.Generator, runs: int, at: list[int], world: World) -> Found:
    """Look at each route whenever it has grown; all routes are evaluated together."""
    routes = [Route(rng, world) for _ in range(runs)]
    found = Found(*(np.full(runs, np.inf) for _ in range(4)))
    before = 0
    for n in at:
        for route in routes:
            route.grow(n - before, n / at[-1])
        before = n
        evaluations = evaluate_all([route.task() for route in routes])
        for name, says in _said(evaluations):
            times = getattr(found, name)
            times[np.isinf(times) & says] = n
        waiting = np.nonzero(np.isinf(found.z_test))[0]
        for run in waiting:
            if routes[run].has_z_alarm():
                found.z_test[run] = n
    return found


def _said(evaluations: list[Evaluation]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    verdicts = [evaluation.verdict for evaluation in evaluations]
    yield "rollback", np.array([v.decision is Decision.ROLLBACK for v in verdicts])
    yield "promote", np.array([v.decision is Decision.PROMOTE for v in verdicts])
    yield "cheaper_but_worse", np.array([v.cheaper_but_worse is not None for v in verdicts])
