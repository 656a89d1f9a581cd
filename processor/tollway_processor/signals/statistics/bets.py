"""The bets of many tests of proportions by arrays: what each adds to the evidence at a bound.

Arrays are laid out (bets, comparisons) and (epochs, comparisons), so that loops inside are long.
They are filled some thousand entries at a time: what is larger is handed back to the operating
system after each operation, which costs more than the arithmetic. What is computed, and why, is
explained in proportions.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_ENTRIES = 5000  # of an array: 40 KB
_EDGE = 1e-9
_NEAREST_TO_ONE = 1e-6


@dataclass(frozen=True, slots=True)
class Rates:
    """Counts of many comparisons, divided by the design effect: a row an epoch, a column each."""

    n_b: Array
    bad_b: Array
    n_c: Array
    bad_c: Array

    def shared(self) -> Rates:
        """Return the counts of epochs that both arms are in; the others say nothing."""
        is_shared = (self.n_b > 0) & (self.n_c > 0)
        return Rates(*(np.where(is_shared, x, 0.0) for x in self.columns))

    def summed(self) -> Rates:
        """Return the counts of all epochs together, in one row."""
        if len(self.n_b) == 1:
            return self
        return Rates(*(x.sum(axis=0, keepdims=True) for x in self.columns))

    @property
    def columns(self) -> tuple[Array, Array, Array, Array]:
        """The four counts."""
        return self.n_b, self.bad_b, self.n_c, self.bad_c

    @property
    def epochs(self) -> int:
        """Epochs of each comparison."""
        return len(self.n_b)

    def share(self) -> Array:
        """Return the candidate's share of the traces of each epoch; one half without traces."""
        total = self.n_b + self.n_c
        return np.asarray(np.where(total > 0, self.n_c / np.maximum(total, 1e-12), 0.5))

    def differences(self) -> Array:
        """Return candidate minus baseline within epochs, as rates.concurrent_rates."""
        n_b, n_c = np.maximum(self.n_b, 1e-12), np.maximum(self.n_c, 1e-12)
        weight = self.n_b * self.n_c / np.maximum(self.n_b + self.n_c, 1e-12)
        differences = (weight * (self.bad_c / n_c - self.bad_b / n_b)).sum(axis=0)
        return np.asarray(differences / np.maximum(weight.sum(axis=0), 1e-12))

    def take(self, which: NDArray[np.intp] | slice) -> Rates:
        """Return some of them."""
        return Rates(*(x[:, which] for x in self.columns))

    def __len__(self) -> int:
        return int(self.n_b.shape[1])


@dataclass(frozen=True, slots=True)
class Bets:
    """Bets of all comparisons (one column) or of each (a column a comparison)."""

    log_weight: Array
    baseline: Array
    shift: Array

    @classmethod
    def of(cls, bets: Sequence[tuple[float, float, float]]) -> Bets:
        """Return bets that all comparisons share."""
        return cls(*(np.array(column)[:, None] for column in zip(*bets, strict=True)))

    @classmethod
    def none(cls, bets: int, comparisons: int) -> Bets:
        """Return room for bets of each comparison."""
        shape = (bets, comparisons)
        return cls(np.full(shape, -np.inf), np.full(shape, 0.5), np.full(shape, 0.1))

    def only(self, used: NDArray[np.bool_]) -> Bets:
        """Return the bets that are used."""
        return Bets(self.log_weight[used], self.baseline[used], self.shift[used])

    def take(self, which: NDArray[np.intp] | slice) -> Bets:
        """Return the bets of some comparisons."""
        if self.shift.shape[1] == 1:
            return self
        return Bets(self.log_weight[:, which], self.baseline[:, which], self.shift[:, which])

    def put(self, which: NDArray[np.intp], others: Bets) -> None:
        """Replace the bets of some comparisons; bets that those have too few of weigh nothing."""
        some = slice(len(others.shift))
        self.log_weight[:, which] = -np.inf
        self.log_weight[some, which] = others.log_weight
        self.baseline[some, which] = others.baseline
        self.shift[some, which] = others.shift

    def leading(self, rates: Rates, bounds: Array, most: int) -> Bets:
        """Return for each comparison the bets with the largest terms at a bound, roughly."""
        most = min(most, len(self.shift))
        best = np.empty((most, len(rates)), dtype=np.intp)
        for some in self._blocks(rates):
            terms = self._terms(rates.take(some), bounds[some], nearest_roots)
            best[:, some] = np.argpartition(-terms, most - 1, axis=0)[:most]
        return Bets(self.log_weight[:, 0][best], self.baseline[:, 0][best], self.shift[:, 0][best])

    def terms(self, rates: Rates, bounds: Array) -> Array:
        """Return ln(w e) of each bet against a bound a comparison; -inf where it has no rate."""
        found = np.empty((len(self.shift), len(rates)))
        for some in self._blocks(rates):
            found[:, some] = self.take(some)._terms(rates.take(some), bounds[some], nearest_nulls)
        return found

    def _terms(self, rates: Rates, bounds: Array, null: Callable[..., Array]) -> Array:
        limit = self.baseline + bounds
        candidate = _candidates(self.baseline, limit + self.shift)
        is_beyond = (candidate - limit) * np.sign(self.shift) > 0
        is_beyond &= np.abs(bounds) <= 1 - _NEAREST_TO_ONE
        bounds = np.clip(bounds, _NEAREST_TO_ONE - 1, 1 - _NEAREST_TO_ONE)
        terms = np.zeros(candidate.shape) + self.log_weight
        for epoch, share in enumerate(rates.share()):
            logs = _logs(share, self.baseline, candidate, bounds, null)
            terms += _weighed(logs, *(x[epoch] for x in rates.columns))
        terms[~is_beyond] = -np.inf
        return np.asarray(terms)

    def terms_at_zero(self, rates: Rates) -> Array:
        """Return the terms against a difference of 0: there the nearest null is the mean rate."""
        b = self.baseline
        c = _candidates(b, b + self.shift)
        n_b, bad_b, n_c, bad_c = (x[0] for x in rates.summed().columns)
        counts = np.stack((bad_c, n_c - bad_c, bad_b, n_b - bad_b))
        constants = np.log(np.hstack((c, 1 - c, b, 1 - b)))
        found = np.empty((len(b), len(rates)))
        for some in self._blocks(rates):
            few = rates.take(some)
            terms = constants @ counts[:, some] + self.log_weight
            for epoch, share in enumerate(few.share()):
                n_b, bad_b, n_c, bad_c = (x[epoch] for x in few.columns)
                y = b + (c - b) * share
                terms -= (bad_b + bad_c) * np.log(y)
                terms -= (n_b + n_c - bad_b - bad_c) * np.log(1 - y)
            found[:, some] = terms
        found[((c - b) * self.shift <= 0)[:, 0]] = -np.inf
        return found

    def terms_and_gains(self, rates: Rates, bound: float) -> tuple[Array, Array]:
        """Return the terms, and what one more candidate trace at equal rates adds to each."""
        candidate = _candidates(self.baseline, self.baseline + bound + self.shift)
        is_beyond = (candidate - self.baseline - bound) * self.shift > 0
        per_trace = _one_more(rates.summed())
        terms = np.empty((len(self.shift), len(rates)))
        gains = np.empty(terms.shape)
        for some in self._blocks(rates):
            few, one = rates.take(some), per_trace.take(some)
            found = np.zeros((len(self.shift), len(few))) + self.log_weight
            for epoch, share in enumerate(few.share()):
                logs = _logs(share, self.baseline, candidate, np.array([bound]), nearest_nulls)
                found += _weighed(logs, *(x[epoch] for x in few.columns))
            if few.epochs > 1:
                share = few.summed().share()[0]
                logs = _logs(share, self.baseline, candidate, np.array([bound]), nearest_nulls)
            terms[:, some] = found
            gains[:, some] = _weighed(logs, *(x[0] for x in one.columns))
        terms[~is_beyond[:, 0]] = -np.inf
        gains[~is_beyond[:, 0]] = -np.inf
        return terms, gains

    def _blocks(self, rates: Rates) -> Iterator[slice]:
        step = max(1, _ENTRIES // len(self.shift))
        for start in range(0, len(rates), step):
            yield slice(start, start + step)


def _candidates(baseline: Array, rate: Array) -> Array:
    """Return proportions.Bet.candidate's rates, before it is known whether they lie beyond."""
    return np.minimum(np.maximum(rate, baseline / 4), 1 - (1 - baseline) / 4)


def _one_more(whole: Rates) -> Rates:
    """Return the counts that one more candidate trace brings, where both arms share one rate."""
    rate = (whole.bad_b + whole.bad_c + 0.5) / (whole.n_b + whole.n_c + 1)
    others = whole.n_b / np.maximum(whole.n_c, 1e-12)
    return Rates(others, others * rate, np.ones(others.shape), rate)


def _logs(
    share: Array, b: Array, c: Array, bound: Array, null: Callable[..., Array]
) -> tuple[Array, Array, Array, Array]:
    """Return what a bad and a good trace of the candidate, and of the baseline, add to ln e."""
    y = null(b, c, share, bound)
    z = y + bound
    return np.log(c / z), np.log((1 - c) / (1 - z)), np.log(b / y), np.log((1 - b) / (1 - y))


def _weighed(
    logs: tuple[Array, Array, Array, Array], n_b: Array, bad_b: Array, n_c: Array, bad_c: Array
) -> Array:
    found = logs[0] * bad_c
    found += logs[1] * (n_c - bad_c)
    found += logs[2] * bad_b
    found += logs[3] * (n_b - bad_b)
    return np.asarray(found)


def _limits(bound: Array) -> tuple[Array, Array]:
    return np.maximum(0.0, -bound) + _EDGE, np.minimum(1.0, 1.0 - bound) - _EDGE


def nearest_roots(b: Array, c: Array, share: Array, bound: Array) -> Array:
    """Return proportions.nearest_null for arrays, to half of the digits; the bound is not 0."""
    ratio = (1 - share) / share
    cubic = 1 + ratio
    mixed = c + ratio * b
    third = (mixed + (cubic + bound * (ratio + 2))) * (-1 / (3 * cubic))
    linear = (mixed + (bound * bound + bound * (ratio + 1)) + (2 * bound) * c) * (1 / (3 * cubic))
    # Products instead of powers: a power costs as much as a logarithm and a sine together.
    square = third * third
    offset = third * (square - 1.5 * linear) - c * (bound * (1 + bound) / (2 * cubic))
    radius = np.copysign(np.sqrt(np.maximum(square - linear, 1e-300)), offset)
    angle = np.arccos(np.clip(offset / (radius * radius * radius), -1, 1))
    y = 2 * radius * np.cos((angle + np.pi) / 3) - third - bound
    low, high = _limits(bound)
    return np.asarray(np.minimum(np.maximum(y, low), high))


def nearest_nulls(b: Array, c: Array, share: Array, bound: Array) -> Array:
    """Return proportions.nearest_null for arrays."""
    y = nearest_roots(b, c, share, bound)
    z = y + bound
    bad_c, good_c = share * c / z, share * (1 - c) / (1 - z)
    bad_b, good_b = (1 - share) * b / y, (1 - share) * (1 - b) / (1 - y)
    slope = good_c - bad_c + good_b - bad_b
    curvature = good_c / (1 - z) + bad_c / z + good_b / (1 - y) + bad_b / y
    y = np.where(bound == 0, share * c + (1 - share) * b, y - slope / curvature)
    low, high = _limits(bound)
    return np.asarray(np.minimum(np.maximum(y, low), high))


def log_sum(terms: Array) -> Array:
    """Return ln of the sum of exp(term) over the bets of each comparison."""
    top = terms.max(axis=0)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(safe + np.log(np.exp(terms - safe).sum(axis=0)))
