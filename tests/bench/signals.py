"""Print how often the statistics of signals are wrong and how soon they are right.

    python tests/bench/signals.py [--runs 1000] [--seed 1]

False alarms under continuous watching, traces to detection, and wrong promotions, beside a
fixed-sample test and Mann-Whitney looked at as often. Ends with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import simulations as sim
import vectorised
from vectorised import Array
from whole_routes import World, watch

from tollway_processor.signals.statistics import State

HORIZON = 10_000


@dataclass
class Row:
    """One line of the table: a figure a method, and what it has to keep."""

    scenario: str
    unit: str
    figures: dict[str, float]
    limit: float | None = None
    limited: tuple[str, ...] = ("tollway",)

    @property
    def is_missed(self) -> bool:
        limit = self.limit
        return limit is not None and any(self.figures[name] > limit for name in self.limited)


def said(found: dict[str, Array]) -> dict[str, float]:
    """Share of runs, in per cent, that ever said it."""
    return {name: 100 * float(np.isfinite(times).mean()) for name, times in found.items()}


def median(found: dict[str, Array]) -> dict[str, float]:
    """Median of candidate traces, runs that never said it at infinity."""
    return {name: float(np.median(times)) for name, times in found.items()}


def false_alarms(rng: np.random.Generator, runs: int) -> Iterator[Row]:
    """Equal variants, watched: how often is one called REGRESSED?"""
    at = sim.looks(HORIZON, first=20)
    for rate in (0.01, 0.05, 0.5):
        for share in (0.1, 0.5):
            rates = sim.Rates(rate, rate, share, min(1.5 * rate, 0.6))
            name = f"rate {rate:.0%}, {1 - share:.0%}/{share:.0%}, prior wrong by 1.5x"
            yield Row(name, "%", said(sim.regressed(rng, runs, rates, at)), 5.0)
    at = [n // 20 for n in sim.looks(HORIZON, first=20, growth=0.02)]
    at = list(range(1, max(at) + 1))
    yield Row("rate 5%, sessions of 20", "%", said(sim.clustered(rng, runs, at)), 5.0)
    names = ("tollway", "tollway, cohorts re-weighted")
    drifting = sim.drifting(rng, max(100, runs // 3))
    yield Row("share and cohort mix drifting", "%", said(drifting), 5.0, names)
    few = max(100, runs // 3)
    at = sim.looks(1000, first=50, growth=0.05)
    for sigma in (1.0, 1.5):
        found = sim.costs(rng, few, at, sigma=sigma, is_log=True, claim=State.REGRESSED)
        yield Row(f"log-normal cost, sigma {sigma}, on logs", "%", said(found), 5.0)
        found = sim.costs(rng, few, at, sigma=sigma, is_log=False, claim=State.REGRESSED)
        yield Row(f"log-normal cost, sigma {sigma}, raw mean", "%", said(found), 5.0)
    at = sim.looks(2000, first=20, growth=0.1)
    yield Row(
        "mirrored pairs, 8 % disagree",
        "%",
        said(sim.pairs(rng, few, at, 0.0, State.REGRESSED)),
        5.0,
    )
    found = sim.rollback_of_an_equal_candidate(
        rng, max(100, runs // 4), 30, sim.looks(2000, first=20, growth=0.02)
    )
    yield Row("ROLLBACK of an equal candidate, 30 cells", "%", said(found), 5.0)


def detection(rng: np.random.Generator, runs: int) -> Iterator[Row]:
    """A worse candidate on a tenth of the traffic: after how many of its traces is it found?"""
    for points, limit, horizon in ((3, 450, 4000), (5, 180, 2000), (10, 65, 800)):
        rates = sim.Rates(0.05, 0.05 + points / 100, 0.1, 0.05)
        at = list(range(20, horizon + 1))
        single = median(sim.regressed(rng, runs, rates, at))
        shared = median(sim.regressed(rng, runs, rates, sim.looks(HORIZON, 20), alpha=0.05 / 30))
        figures = {"tollway": single["tollway"], "one of 30 cells": shared["tollway"]}
        figures["fixed test"] = fixed_sample(0.05, points / 100)
        yield Row(f"+{points} points on 5 %", "traces", figures, limit)
    at = sim.looks(4000, first=50, growth=0.02)
    few = max(60, runs // 8)
    for sigma in (0.5, 1.0):
        found = sim.slow_tail(rng, few, at, sigma)
        figures = {"tollway": median(found)["share above p95"]}
        figures["tollway, mean of logs"] = median(found)["mean of logs"]
        yield Row(f"8 % of calls 3x slower, sigma {sigma}", "traces", figures)
        at_300 = sim.slow_tail(rng, few, sim.looks(300, first=50, growth=0.05), sigma)
        figures = {"tollway": said(at_300)["share above p95"]}
        figures["Mann-Whitney"] = said(at_300)["Mann-Whitney"]
        yield Row("   found within 300 traces", "% (power)", figures)


def fixed_sample(rate: float, harm: float) -> float:
    """Candidate traces that a test planned for this harm needs for 80 % power, one look."""
    variance = (rate + harm) * (1 - rate - harm) + rate * (1 - rate) / 9
    return float(np.ceil((sim.Z_ONE_SIDED + 0.8416) ** 2 * variance / harm**2))


def promotion(rng: np.random.Generator, runs: int) -> Iterator[Row]:
    """HELD and PROMOTE at a margin of 3 points: how soon if equal, how often if wrong?"""
    at = list(range(50, 2001))
    equal = sim.held(rng, max(100, runs // 2), sim.Rates(0.05, 0.05, 0.1, 0.05), at)
    yield Row("HELD, equal candidate, 5 %", "traces", median(equal), 450)
    at = sim.looks(HORIZON, first=50)
    for rate in (0.01, 0.05, 0.5):
        for share in (0.1, 0.5):
            rates = sim.Rates(rate, rate + sim.MARGIN, share, rate)
            name = f"wrong HELD at the margin, {rate:.0%}, {1 - share:.0%}/{share:.0%}"
            yield Row(name, "%", said(sim.held(rng, runs, rates, at)), 5.5)
    found = sim.promote_of_a_harmful_candidate(
        rng, max(200, runs // 2), 4, sim.looks(HORIZON, 50, 0.02)
    )
    yield Row("wrong PROMOTE, 1 of 4 cells at the margin", "%", said(found), 5.0)
    few = max(100, runs // 3)
    found = sim.pairs(rng, few, sim.looks(2000, first=50, growth=0.1), sim.MARGIN, State.HELD)
    yield Row("wrong HELD at the margin, mirrored pairs", "%", said(found), 5.5)
    found = sim.scores(rng, few, sim.looks(2000, first=100, growth=0.05), 0.01)
    yield Row(
        "wrong HELD at the margin, score failing 1 %",
        "%",
        said(found),
        5.5,
        ("tollway", "tollway, cohorts re-weighted"),
    )
    at = sim.looks(2000, first=100, growth=0.05)
    found = sim.costs(rng, few, at, sigma=1.0, is_log=True, claim=State.HELD)
    yield Row("wrong HELD at the margin, cost, on logs", "%", said(found), 5.0)
    found = sim.costs(rng, few, at, sigma=1.0, is_log=False, claim=State.HELD)
    yield Row("wrong HELD at the margin, cost, raw mean", "%", said(found), 5.0)


def whole_routes(rng: np.random.Generator, runs: int) -> Iterator[Row]:
    """All metrics and cohorts of a route at once, through the evaluate path to its verdict."""
    few = max(40, runs // 10)
    at = sim.looks(5000, first=100, growth=0.25)
    cells = "36 rates and 9 means"
    for name, world in (
        ("equal", World()),
        ("equal, share and mix drifting", World(drift=1.0)),
    ):
        found = watch(rng, few, at, world)
        told = {"tollway": found.rollback, "fixed test, any cell": found.z_test}
        yield Row(f"ROLLBACK, {name}, {cells}", "%", said(told), 5.0)
        told = {"tollway": found.cheaper_but_worse}
        yield Row("   CHEAPER_BUT_WORSE of the same", "%", said(told), 5.0)
    at = sim.looks(20_000, first=500, growth=0.3)
    found = watch(rng, few, at, World({("refund", "score_fail:cited"): sim.MARGIN}, saving=1.0))
    yield Row("PROMOTE, at the margin on a 26 % cohort", "%", said({"tollway": found.promote}), 5.0)
    found = watch(rng, few // 2, sim.looks(200_000, 5000, 0.6), World(saving=1.0))
    yield Row("PROMOTE, equal and cheaper", "traces", median({"tollway": found.promote}))
    at = sim.looks(10_000, first=200, growth=0.1)
    found = watch(rng, few, at, World({("closure", "score_fail:json_valid"): 0.4}, saving=1.0))
    told = {"ROLLBACK": found.rollback, "CHEAPER_BUT_WORSE": found.cheaper_but_worse}
    yield Row("json_valid 3 to 43 % on the 4 % cohort", "traces", median(told))


SECTIONS = {
    "False alarms, looked at all the time": false_alarms,
    "Detection, median candidate traces": detection,
    "Promotion": promotion,
    "Whole routes, through the evaluate path": whole_routes,
}


def show(row: Row) -> None:
    """Print one line as soon as it is known."""
    figures = "   ".join(
        f"{name} {value:,.1f}".rstrip("0").rstrip(".") for name, value in row.figures.items()
    )
    target = (
        "" if row.limit is None else f"   [{'MISSED' if row.is_missed else 'ok'}: {row.limit:g}]"
    )
    print(f"  {row.scenario:<46} {row.unit:<9} {figures}{target}", flush=True)


def main() -> int:
    """Run all sections and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=1000, help="runs a scenario")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    vectorised.check(rng)
    started = time.monotonic()
    missed = 0
    for title, section in SECTIONS.items():
        print(title)
        for row in section(rng, arguments.runs):
            show(row)
            missed += row.is_missed
    print(
        f"{arguments.runs:,} runs a scenario, {time.monotonic() - started:,.0f} s, "
        f"{missed} targets missed"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
