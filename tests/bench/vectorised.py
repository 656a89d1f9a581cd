"""The test of proportions once more, over arrays of runs: simulations through the pure functions
would take hours. `check` shows that both give the same numbers before anything is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from tollway_processor.signals.statistics import Counts
from tollway_processor.signals.statistics import proportions as pure
from tollway_processor.signals.statistics.rates import rate_test

Array = NDArray[np.float64]
_CLOSE = 1e-6


@dataclass
class Sums:
    """Traces and bad traces of both arms, one entry a run."""

    n_b: Array
    bad_b: Array
    n_c: Array
    bad_c: Array

    @classmethod
    def zeros(cls, runs: int) -> Sums:
        return cls(*(np.zeros(runs) for _ in range(4)))

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.n_b + other.n_b,
            self.bad_b + other.bad_b,
            self.n_c + other.n_c,
            self.bad_c + other.bad_c,
        )

    def take(self, which: NDArray[np.intp]) -> Sums:
        return Sums(self.n_b[which], self.bad_b[which], self.n_c[which], self.bad_c[which])

    def divided(self, effect: Array) -> Sums:
        return Sums(self.n_b / effect, self.bad_b / effect, self.n_c / effect, self.bad_c / effect)

    @property
    def difference(self) -> Array:
        return self.bad_c / np.maximum(self.n_c, 1) - self.bad_b / np.maximum(self.n_b, 1)


class Test:
    """Bets of the pure test, as arrays: ln E of each run against one bound."""

    __test__ = False

    def __init__(self, prior_rate: float, margin: float, bound: float, *, is_above: bool) -> None:
        test = rate_test((), prior_rate, margin)
        self._bases = pure.base_rates(prior_rate)
        self._bound = bound
        self._is_above = is_above
        bets = test.above if is_above else test.below
        candidates = [bet.candidate(bound) for bet in bets]
        kept = [k for k, candidate in enumerate(candidates) if candidate is not None]
        self._weights = np.array([bets[k].log_weight for k in kept])
        self._b = np.array([bets[k].baseline for k in kept])
        self._c = np.array([candidates[k] for k in kept], dtype=float)
        rates = np.array([base.rate for base in self._bases])
        self._base_of = np.array([int(np.argmin(abs(rates - b))) for b in self._b])

    def log_e(self, sums: Sums) -> Array:
        """ln E per run of one epoch."""
        mask = self._kept(sums)
        used = mask.any(axis=0)
        terms = self._log_ratios(sums, used) + self._weights[used]
        return np.asarray(logsumexp(np.where(mask[:, used], terms, -np.inf), axis=1))

    def log_ratios(self, sums: Sums) -> Array:
        """ln e per run and bet, to be added up over epochs."""
        return self._log_ratios(sums, np.ones(len(self._b), dtype=bool))

    def log_e_of(self, ratios: Array, sums: Sums) -> Array:
        """ln E per run from ratios added up over epochs, whose counts add up to sums."""
        terms = np.where(self._kept(sums), ratios + self._weights, -np.inf)
        return np.asarray(logsumexp(terms, axis=1))

    def _log_ratios(self, sums: Sums, used: NDArray[np.bool_]) -> Array:
        n_b, bad_b, n_c, bad_c = (x[:, None] for x in (sums.n_b, sums.bad_b, sums.n_c, sums.bad_c))
        has_both = (n_b > 0) & (n_c > 0)
        share = np.where(has_both, n_c / np.maximum(n_b + n_c, 1e-9), 0.5)
        b, c = self._b[used][None, :], self._c[used][None, :]
        y = nearest_null(b, c, share, self._bound)
        z = y + self._bound
        ratios = (
            bad_c * np.log(c / z)
            + (n_c - bad_c) * np.log((1 - c) / (1 - z))
            + bad_b * np.log(b / y)
            + (n_b - bad_b) * np.log((1 - b) / (1 - y))
        )
        return np.asarray(np.where(has_both, ratios, 0.0))

    def _kept(self, sums: Sums) -> NDArray[np.bool_]:
        """Which bets each run keeps, as proportions.base_rates keeps base rates."""
        steps = np.zeros((len(sums.n_b), len(self._bases)), dtype=bool)
        middle = len(self._bases) // 2
        steps[:, middle - 1 : middle + 2] = True
        steps |= self._plausible(sums.n_b, sums.bad_b)
        steps |= self._plausible(sums.n_b + sums.n_c, sums.bad_b + sums.bad_c)
        return np.asarray(steps[:, self._base_of])

    def _plausible(self, seen: Array, bad: Array) -> NDArray[np.bool_]:
        rates = np.array([base.rate for base in self._bases])
        weights = np.array([base.weight for base in self._bases])
        likelihood = np.outer(bad, np.log(rates)) + np.outer(seen - bad, np.log1p(-rates))
        nats = likelihood + np.log(weights)
        plausible = nats >= nats.max(axis=1, keepdims=True) - pure.IMPLAUSIBLE_NATS
        best = likelihood.argmax(axis=1)
        for offset in (-1, 0, 1):
            step = best + offset
            inside = (step >= 0) & (step < len(rates))
            plausible[np.nonzero(inside)[0], step[inside]] = True
        return np.asarray(plausible)


def nearest_null(b: Array, c: Array, share: Array, bound: float) -> Array:
    """proportions.nearest_null, over arrays."""
    if bound == 0:
        return np.asarray(share * c + (1 - share) * b)
    ratio = (1 - share) / share
    cubic = 1 + ratio
    square = -(1 + ratio + c + ratio * b + bound * (ratio + 2))
    linear = bound * bound + bound * (2 * c + ratio + 1) + c + ratio * b
    third = square / (3 * cubic)
    offset = third**3 - square * linear / (6 * cubic**2) - c * bound * (1 + bound) / (2 * cubic)
    radius_sq = np.maximum(third * third - linear / (3 * cubic), 1e-300)
    radius = np.copysign(np.sqrt(radius_sq), offset)
    angle = (np.pi + np.arccos(np.clip(offset / radius**3, -1, 1))) / 3
    low, high = max(0.0, -bound) + 1e-9, min(1.0, 1.0 - bound) - 1e-9
    y = np.clip(2 * radius * np.cos(angle) - third - bound, low, high)
    z = y + bound
    bad_c, good_c = share * c / z, share * (1 - c) / (1 - z)
    bad_b, good_b = (1 - share) * b / y, (1 - share) * (1 - b) / (1 - y)
    slope = good_c - bad_c + good_b - bad_b
    curvature = good_c / (1 - z) + bad_c / z + good_b / (1 - y) + bad_b / y
    return np.asarray(np.clip(y - slope / curvature, low, high))


def check(rng: np.random.Generator) -> None:
    """Raise AssertionError unless arrays and pure functions agree on sums drawn at random."""
    runs = 40
    for prior, margin, bound, is_above in (
        (0.05, 0.03, 0.0, True),
        (0.05, 0.03, 0.03, False),
        (0.02, 0.02, 0.0, False),
        (0.5, 0.03, 0.03, False),
    ):
        n_b, n_c = rng.integers(0, 3000, runs), rng.integers(0, 600, runs)
        rate = rng.choice([0.01, 0.05, 0.5], runs)
        sums = Sums(
            n_b.astype(float),
            rng.binomial(n_b, rate).astype(float),
            n_c.astype(float),
            rng.binomial(n_c, rate).astype(float),
        )
        arrays = Test(prior, margin, bound, is_above=is_above).log_e(sums)
        for run in range(runs):
            expected = _pure_log_e(sums, run, (prior, margin, bound), is_above)
            assert abs(arrays[run] - expected) < _CLOSE, (prior, bound, arrays[run], expected)


def _pure_log_e(sums: Sums, run: int, asked: Sequence[float], is_above: bool) -> float:
    prior, margin, bound = asked
    counts = Counts(*(float(x[run]) for x in (sums.n_b, sums.bad_b, sums.n_c, sums.bad_c)))
    test = rate_test([counts], prior, margin)
    return test.log_e_above(bound) if is_above else test.log_e_below(bound)
