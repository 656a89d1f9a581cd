"""Simulated comparisons, watched all the time, by Tollway's statistics and by the usual tests.

Each function plays many runs of one scenario and returns, per method, when each run first said
what it was asked about (candidate traces; inf for never). What is printed is signals.py's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from vectorised import Array, Sums, Test

from tollway_processor.signals.statistics import (
    Arm,
    Criteria,
    PairCounts,
    State,
    Stratum,
    compare_mean,
    compare_strata,
    rate_arm,
)
from tollway_processor.signals.statistics.paired import PairTest

LOG_20 = math.log(20)
Z_ONE_SIDED = 1.6448536269514722
MARGIN, FLOOR = 0.03, 0.01


def looks(horizon: int, first: int = 1, growth: float = 0.01) -> list[int]:
    """Candidate traces at which to look: each one at first, then each per cent more."""
    found, at = [], first
    while at <= horizon:
        found.append(at)
        at = max(at + 1, int(at * (1 + growth)))
    return found


@dataclass
class Rates:
    """Two arms of independent traces; the candidate serves `share` of them."""

    baseline: float
    candidate: float
    share: float
    prior: float


def grow(
    rng: np.random.Generator, runs: int, rates: Rates, at: list[int]
) -> Iterator[tuple[int, Sums]]:
    """Yield the sums of all runs at each look."""
    sums, before = Sums.zeros(runs), 0
    for n_c in at:
        step, before = n_c - before, n_c
        n_b = rng.negative_binomial(step, rates.share, runs)
        sums += Sums(
            n_b.astype(float),
            rng.binomial(n_b, rates.baseline).astype(float),
            np.full(runs, float(step)),
            rng.binomial(step, rates.candidate, runs).astype(float),
        )
        yield n_c, sums


class FirstTime:
    """When each run first said it; only the others are computed on."""

    def __init__(self, runs: int) -> None:
        self.at = np.full(runs, np.inf)

    def ask(self, n_c: int, sums: Sums, says: Callable[[Sums], NDArray[np.bool_]]) -> None:
        waiting = np.nonzero(np.isinf(self.at))[0]
        if len(waiting):
            self.at[waiting[says(sums.take(waiting))]] = n_c

    @property
    def is_over(self) -> bool:
        return bool(np.isfinite(self.at).all())


def z_statistic(sums: Sums, margin: float = 0.0) -> Array:
    """Pooled z of candidate minus baseline (unpooled against a margin)."""
    p_b, p_c = sums.bad_b / np.maximum(sums.n_b, 1), sums.bad_c / np.maximum(sums.n_c, 1)
    pooled = (sums.bad_b + sums.bad_c) / np.maximum(sums.n_b + sums.n_c, 1)
    if margin:
        variance = p_b * (1 - p_b) / np.maximum(sums.n_b, 1)
        variance = variance + p_c * (1 - p_c) / np.maximum(sums.n_c, 1)
    else:
        each = 1 / np.maximum(sums.n_b, 1) + 1 / np.maximum(sums.n_c, 1)
        variance = pooled * (1 - pooled) * each
    return np.asarray((p_c - p_b - margin) / np.sqrt(np.maximum(variance, 1e-12)))


def regressed(
    rng: np.random.Generator, runs: int, rates: Rates, at: list[int], alpha: float = 0.05
) -> dict[str, Array]:
    """When REGRESSED is first said by the test of proportions and by a z test."""
    test = Test(rates.prior, MARGIN, 0.0, is_above=True)
    ours, usual = FirstTime(runs), FirstTime(runs)
    threshold = -math.log(alpha)
    for n_c, sums in grow(rng, runs, rates, at):
        ours.ask(n_c, sums, lambda s: (s.difference > FLOOR) & (test.log_e(s) >= threshold))
        usual.ask(n_c, sums, lambda s: z_statistic(s) >= Z_ONE_SIDED)
        if ours.is_over and usual.is_over:
            break
    return {"tollway": ours.at, "fixed test": usual.at}


def held(
    rng: np.random.Generator, runs: int, rates: Rates, at: list[int], margin: float = MARGIN
) -> dict[str, Array]:
    """When HELD is first said by the test of proportions and by a z test against the margin."""
    test = Test(rates.prior, margin, margin, is_above=False)
    ours, usual = FirstTime(runs), FirstTime(runs)
    for n_c, sums in grow(rng, runs, rates, at):
        ours.ask(n_c, sums, lambda s: test.log_e(s) >= LOG_20)
        usual.ask(n_c, sums, lambda s: z_statistic(s, margin) <= -Z_ONE_SIDED)
        if ours.is_over and usual.is_over:
            break
    return {"tollway": ours.at, "fixed test": usual.at}


def clustered(
    rng: np.random.Generator, runs: int, at: list[int], *, size: int = 20, correlation: float = 0.2
) -> dict[str, Array]:
    """Equal variants at 5 %, 50/50, in sessions of `size` whose rates differ."""
    test = Test(0.05, MARGIN, 0.0, is_above=True)
    concentration = 1 / correlation - 1
    ours, usual = FirstTime(runs), FirstTime(runs)
    squares, totals = np.zeros((2, runs)), np.zeros((2, runs))
    for sessions in at:
        rate = rng.beta(0.05 * concentration, 0.95 * concentration, (2, runs))
        bad = rng.binomial(size, rate).astype(float)
        totals, squares = totals + bad, squares + bad**2
        if sessions < 20:
            continue
        n = np.full(runs, float(size * sessions))
        sums = Sums(n, totals[0], n, totals[1])
        mean = totals / n
        spread = squares - 2 * mean * size * totals + mean**2 * size**2 * sessions
        variance = sessions / (sessions - 1) * spread / n**2
        effect = np.maximum(1, variance / np.maximum(mean * (1 - mean) / n, 1e-12)).max(axis=0)
        divided = sums.divided(effect)
        says = (sums.difference > FLOOR) & (test.log_e(divided) >= LOG_20)
        ours.at[np.isinf(ours.at) & says] = size * sessions
        usual.at[np.isinf(usual.at) & (z_statistic(sums) >= Z_ONE_SIDED)] = size * sessions
    return {"tollway": ours.at, "fixed test": usual.at}


def drifting(rng: np.random.Generator, runs: int) -> dict[str, Array]:
    """Equal variants over 40 hours in which share and mix of two cohorts (2 %, 30 %) drift."""
    test = Test(0.05, MARGIN, 0.0, is_above=True)
    ours, usual = FirstTime(runs), FirstTime(runs)
    strata_at = np.full(runs, np.inf)
    whole, ratios = Sums.zeros(runs), np.zeros(())
    cells = np.zeros((runs, 2, 2, 2))
    for hour in range(40):
        share, hard = 0.05 + 0.45 * hour / 39, 0.05 + 0.35 * hour / 39
        mix = [(1 - hard) * (1 - share), (1 - hard) * share, hard * (1 - share), hard * share]
        n = rng.multinomial(200, mix, runs).reshape(runs, 2, 2)
        bad = rng.binomial(n, np.array([0.02, 0.30])[None, :, None])
        cells += np.stack([n, bad], axis=3)
        step = Sums(
            *(
                x.astype(float)
                for arm in (0, 1)
                for x in (n[:, :, arm].sum(1), bad[:, :, arm].sum(1))
            )
        )
        whole, ratios = whole + step, ratios + test.log_ratios(step)
        says = (whole.difference > FLOOR) & (test.log_e_of(ratios, whole) >= LOG_20)
        ours.at[np.isinf(ours.at) & says] = hour
        usual.at[np.isinf(usual.at) & (z_statistic(whole) >= Z_ONE_SIDED)] = hour
        for run in np.nonzero(np.isinf(strata_at))[0]:
            if _strata_state(cells[run]) is State.REGRESSED:
                strata_at[run] = hour
    return {"tollway": ours.at, "tollway, cohorts re-weighted": strata_at, "fixed test": usual.at}


def _strata_state(cells: Array) -> State:
    """State at equal weights of two cohorts; cells[cohort, arm] = (n, bad)."""
    arms = [[rate_arm(int(n), int(bad)) for n, bad in cohort] for cohort in cells]
    strata = [Stratum(str(k), 0.5, *pair) for k, pair in enumerate(arms)]
    return compare_strata(strata, Criteria(MARGIN, FLOOR), is_rate=True).state


def costs(
    rng: np.random.Generator, runs: int, at: list[int], *, sigma: float, is_log: bool, claim: State
) -> dict[str, Array]:
    """Log-normal cost, 90/10: equal variants asked for REGRESSED, or, for HELD, a candidate that
    is dearer by exactly the margin of 10 %."""
    dearer = 0.1 if claim is State.HELD else 0.0
    found = {name: np.full(runs, np.inf) for name in ("tollway", "fixed test", "Mann-Whitney")}
    mean = 1.0 if is_log else math.exp(sigma**2 / 2)
    criteria = Criteria(0.1 * mean, 0.03 * mean)
    for run in range(runs):
        logs_b = rng.normal(0, sigma, 9 * at[-1])
        logs_c = rng.normal(dearer if is_log else math.log1p(dearer), sigma, at[-1])
        values = (logs_b, logs_c) if is_log else (np.exp(logs_b), np.exp(logs_c))
        sums = [(v.cumsum(), (v**2).cumsum()) for v in values]
        for n in at:
            arms = [
                Arm(size, float(total[size - 1]), float(squares[size - 1]))
                for size, (total, squares) in zip((9 * n, n), sums, strict=True)
            ]
            says = {"tollway": compare_mean(*arms, criteria).state is claim}
            if claim is State.REGRESSED:
                difference = arms[1].mean - arms[0].mean
                error = math.sqrt(sum(arm.variance() / arm.n for arm in arms))
                says["fixed test"] = difference > Z_ONE_SIDED * error
                if math.isinf(found["Mann-Whitney"][run]):
                    says["Mann-Whitney"] = mann_whitney(logs_b[: 9 * n], logs_c[:n])
            for name, is_said in says.items():
                if is_said and math.isinf(found[name][run]):
                    found[name][run] = n
            if all(math.isfinite(times[run]) for times in found.values()):
                break
    if claim is not State.REGRESSED:
        return {"tollway": found["tollway"]}
    return found


def scores(rng: np.random.Generator, runs: int, at: list[int], rate: float) -> dict[str, Array]:
    """A 0 to 1 score that fails `rate` of the time, harmful by exactly the margin, asked for HELD:
    as a mean with and without its range, and as a rate over two cohorts."""
    names = ("tollway", "tollway, cohorts re-weighted", "plug-in variance")
    found = {name: np.full(runs, np.inf) for name in names}
    criteria = Criteria(MARGIN, FLOOR)
    for run in range(runs):
        n, bad = np.zeros((2, 2)), np.zeros((2, 2))
        for n_c, step in zip(at, np.diff([0, *at]), strict=True):
            size = np.array(
                [
                    rng.multinomial(rng.negative_binomial(step, 0.1), [0.8, 0.2]),
                    rng.multinomial(step, [0.8, 0.2]),
                ]
            )
            n, bad = n + size, bad + rng.binomial(size, [[rate], [rate + MARGIN]])
            arms = [
                Arm(float(k), float(b), float(b)) for k, b in zip(n.sum(1), bad.sum(1), strict=True)
            ]
            strata = [
                Stratum(
                    str(k), weight, *(Arm(float(n[arm, k]), float(bad[arm, k])) for arm in (0, 1))
                )
                for k, weight in enumerate((0.8, 0.2))
            ]
            states = (
                compare_mean(*arms, criteria, value_range=(0, 1)).state,
                compare_strata(strata, criteria, is_rate=True).state,
                compare_mean(*arms, criteria).state,
            )
            for name, state in zip(names, states, strict=True):
                if state in (State.HELD, State.IMPROVED) and math.isinf(found[name][run]):
                    found[name][run] = n_c
    return found


def pairs(
    rng: np.random.Generator, runs: int, at: list[int], harm: float, claim: State
) -> dict[str, Array]:
    """Mirrored pairs of which about 8 % disagree; the candidate is worse by `harm`."""
    found = np.full(runs, np.inf)
    shares = [0.04 + harm, 0.04, 0.92 - harm]
    for run in range(runs):
        counts = np.zeros(3)
        for n, step in zip(at, np.diff([0, *at]), strict=True):
            counts += rng.multinomial(step, shares)
            test = PairTest(PairCounts(n, float(counts[0]), float(counts[1])), 0.08)
            if claim is State.HELD:
                is_said = test.log_e_below(MARGIN) >= LOG_20
            else:
                is_said = counts[0] - counts[1] > FLOOR * n and test.log_e_above(0.0) >= LOG_20
            if is_said:
                found[run] = n
                break
    return {"tollway": found}


def mann_whitney(baseline: Array, candidate: Array) -> bool:
    """Whether the candidate's values are larger, one-sided at 5 % (normal approximation)."""
    order = np.sort(baseline)
    wins = float(np.searchsorted(order, candidate).sum())
    n_b, n_c = len(baseline), len(candidate)
    deviation = math.sqrt(n_b * n_c * (n_b + n_c + 1) / 12)
    return wins - n_b * n_c / 2 > Z_ONE_SIDED * deviation


def slow_tail(rng: np.random.Generator, runs: int, at: list[int], sigma: float) -> dict[str, Array]:
    """8 % of the candidate's calls take three times as long; share 10 %."""
    found = {
        name: np.full(runs, np.inf) for name in ("share above p95", "mean of logs", "Mann-Whitney")
    }
    p95 = sigma * float(stats.norm.ppf(0.95))
    test = Test(0.05, 0.05, 0.0, is_above=True)
    for run in range(runs):
        logs_b = rng.normal(0, sigma, 9 * at[-1])
        logs_c = rng.normal(0, sigma, at[-1]) + math.log(3) * (rng.random(at[-1]) < 0.08)
        sums = [(v.cumsum(), (v**2).cumsum(), (v > p95).cumsum()) for v in (logs_b, logs_c)]
        sizes = np.array(at, dtype=float)
        picked = [
            tuple(x[(k * sizes).astype(int) - 1] for x in s)
            for k, s in zip((9, 1), sums, strict=True)
        ]
        tails = Sums(9 * sizes, picked[0][2].astype(float), sizes, picked[1][2].astype(float))
        says = (tails.difference > 0.02) & (test.log_e(tails) >= LOG_20)
        found["share above p95"][run] = _first(says, at)
        for look, n in enumerate(at):
            arms = [
                Arm(k * n, float(picked[arm][0][look]), float(picked[arm][1][look]))
                for arm, k in ((0, 9), (1, 1))
            ]
            if compare_mean(*arms, Criteria(0.1, 0.03), is_log=True).state is State.REGRESSED:
                found["mean of logs"][run] = n
                break
        # Looked at once, at the end: watched, it would be wrong more often than it is right.
        if mann_whitney(logs_b, logs_c):
            found["Mann-Whitney"][run] = at[-1]
    return found


def _first(says: NDArray[np.bool_], at: list[int]) -> float:
    hits = np.nonzero(says)[0]
    return at[hits[0]] if len(hits) else math.inf


def rollback_of_an_equal_candidate(
    rng: np.random.Generator, runs: int, cells: int, at: list[int]
) -> dict[str, Array]:
    """Equal variants on many (metric, cohort) cells at 5 %, 50/50: averaged against each alone."""
    test = Test(0.05, MARGIN, 0.0, is_above=True)
    found = {name: np.full(runs, np.inf) for name in ("tollway", "uncorrected", "fixed test")}
    for n_c, sums in grow(rng, runs * cells, Rates(0.05, 0.05, 0.5, 0.05), at):
        is_harm = sums.difference > FLOOR
        log_e = np.where(is_harm, test.log_e(sums), -np.inf).reshape(runs, cells)
        averaged = np.log(np.exp(np.minimum(log_e, 700)).mean(axis=1) + 1e-300)
        z = z_statistic(sums).reshape(runs, cells).max(axis=1)
        says = {
            "tollway": averaged >= LOG_20,
            "uncorrected": log_e.max(axis=1) >= LOG_20,
            "fixed test": z >= Z_ONE_SIDED,
        }
        for name, is_said in says.items():
            found[name][np.isinf(found[name]) & is_said] = n_c
    return found


def promote_of_a_harmful_candidate(
    rng: np.random.Generator, runs: int, cells: int, at: list[int]
) -> dict[str, Array]:
    """One cell harmful by exactly the margin, the others equal: PROMOTE needs all HELD at once."""
    test = Test(0.05, MARGIN, MARGIN, is_above=False)
    ours, usual = np.full(runs, np.inf), np.full(runs, np.inf)
    harmful = grow(rng, runs, Rates(0.05, 0.05 + MARGIN, 0.1, 0.05), at)
    equal = grow(rng, runs * (cells - 1), Rates(0.05, 0.05, 0.1, 0.05), at)
    for (n_c, bad), (_, good) in zip(harmful, equal, strict=True):
        # The harmful cell is asked first: the others matter in the few runs where it passes.
        passed = test.log_e(bad) >= LOG_20
        for run in np.nonzero(passed & np.isinf(ours))[0]:
            others = good.take(np.arange(run * (cells - 1), (run + 1) * (cells - 1)))
            if (test.log_e(others) >= LOG_20).all():
                ours[run] = n_c
        z = z_statistic(good, MARGIN).reshape(runs, cells - 1).max(axis=1)
        says = np.maximum(z, z_statistic(bad, MARGIN)) <= -Z_ONE_SIDED
        usual[np.isinf(usual) & says] = n_c
    return {"tollway": ours, "fixed test": usual}
