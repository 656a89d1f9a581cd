"""Measure how long it takes to evaluate many routes, from arms to verdicts and the rows to write.

    python tests/bench/evaluation.py [--routes 1000] [--cohorts 10]

Thirty metrics a cohort: eighteen rates, most of them of rare events, eight means and four scores.
Routes go a hundred at a time, as in the processor, and nothing is remembered from look to look.
Prints CPU and wall seconds of the parts; what reading the arms costs depends on the traces.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from tollway_processor.signals.arms import RouteArms
from tollway_processor.signals.evaluate import Task, evaluate_all
from tollway_processor.signals.record import verdict_row
from tollway_processor.signals.signal_columns import signal_block
from tollway_processor.signals.statistics import Arm
from tollway_processor.signals.traffic import Traffic

_ROUTES_A_STEP = 100
RATES = {
    "error": 0.01, "truncated": 0.002, "refused": 0.005, "empty": 0.0, "retried": 0.02,
    "retry_storm": 0.0, "fallback": 0.0, "tool_error": 0.03, "tool_timeout": 0.002,
    "invalid_tool_arguments": 0.005, "score_fail:json_valid": 0.03, "score_fail:grounded": 0.08,
    "score_fail:polite": 0.02, "score_fail:cited": 0.05, "outcome:escalation": 0.02,
    "outcome:refund": 0.01, "outcome:thumbs_down": 0.03, "outcome:overturned": 0.005,
}  # fmt: skip
MEANS = (
    "tool_calls", "log_cost_usd", "cost_usd", "cost_per_success", "log_duration_ms", "log_ttft_ms",
    "log_input_tokens", "log_output_tokens", "score:grounded", "score:polite", "score:cited",
    "score:json_valid",
)  # fmt: skip


def arms_of(rng: np.random.Generator, cohorts: int) -> RouteArms:
    """Return the arms of a route: a tenth of the traffic on the candidate, cohorts of all sizes."""
    arms: dict[tuple[str, str, str], Arm] = {}
    for number in range(cohorts):
        for side, share in (("teacher", 0.9), ("student", 0.1)):
            n = int(share * rng.integers(1000, 20_000))
            for name, rate in RATES.items():
                bad = float(rng.binomial(n, rate))
                arms[f"c{number}", side, name] = Arm(n, bad, bad, n, bad, bad, n)
            for name in MEANS:
                mean, spread = rng.normal(0.8, 0.01), 0.1
                total, squares = n * mean, n * mean * mean + (n - 1) * spread**2
                arms[f"c{number}", side, name] = Arm(n, total, squares, n, squares, total, n)
    return RouteArms(arms, traffic=Traffic(0, 86_400))


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--routes", type=int, default=1000)
    parser.add_argument("--cohorts", type=int, default=10)
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    tasks = [
        Task(f"route-{number}", arms_of(rng, args.cohorts), "teacher", "student")
        for number in range(args.routes)
    ]
    signals, decisions, written_bytes = 0, Counter[str](), 0
    seconds = np.zeros((2, 2))
    for start in range(0, len(tasks), _ROUTES_A_STEP):
        begun = now()
        evaluations = evaluate_all(tasks[start : start + _ROUTES_A_STEP])
        found = now()
        _, block = signal_block(evaluations, "2026-01-01 00:00:00.000")
        verdicts = [verdict_row(evaluation, "") for evaluation in evaluations]
        seconds += found - begun, now() - found
        written_bytes += len(block)
        decisions.update(row["verdict"] for row in verdicts)
        signals += sum(len(evaluation.measured) for evaluation in evaluations)
    print(f"{args.routes} routes, {signals:,} signals, verdicts {dict(decisions)}")
    for what, (wall, cpu) in zip(("arms to verdicts", "rows in words"), seconds, strict=True):
        print(f"{what}: {cpu:.1f} CPU s, {wall:.1f} s")
    print(f"together: {seconds[:, 1].sum():.1f} CPU s, {seconds[:, 0].sum():.1f} s", end=", ")
    print(f"{written_bytes / 1e6:.0f} MB to write")


def now() -> NDArray[np.float64]:
    """Return (wall, CPU) seconds."""
    return np.array((time.perf_counter(), time.process_time()))


if __name__ == "__main__":
    main()
