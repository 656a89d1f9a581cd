"""The test of proportions over many comparisons at once; the same numbers as rates.py, faster.

One comparison costs rates.py a millisecond, and a thousand routes have a third of a million. Bets
are laid out once for each (prior rate, margin); comparisons that keep the same base rates share an
array. What is computed, and why, is explained in proportions.py and rates.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .proportions import (
    BASE_STEPS,
    IMPLAUSIBLE_NATS,
    base_rates,
    place_bets,
)
from .rates import BETTER_SHIFTS, WORSE_SHIFTS

Array = NDArray[np.float64]
_CHUNK = 1024  # comparisons an array: temporaries of a quarter of a megabyte
_FOLLOWED = 5  # bets that are followed while an interval is searched
_CHOOSE_AGAIN = 3  # a first guess far from the end chose bets that do not count there
_MOST_STEPS = 20
_EDGE = 1e-9
_COST_NATS = 2.0  # what the mixture pays for not knowing the rates
# A bound whose evidence is above the threshold by less than this is at most 2 % too far out.
_CLOSE_NATS = 0.2
_AIM_NATS = 0.08
_RELATIVE_TOLERANCE = 0.02
_ABSOLUTE_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Rates:
    """Counts of many comparisons, divided by the design effect: a row each, a column an epoch."""

    n_b: Array
    bad_b: Array
    n_c: Array
    bad_c: Array

    def shared(self) -> Rates:
        """Return the counts of epochs that both arms are in; the others say nothing."""
        is_shared = (self.n_b > 0) & (self.n_c > 0)
        return Rates(*(np.where(is_shared, x, 0.0) for x in self.columns))

    def summed(self) -> Rates:
        """Return the counts of all epochs together, in one column."""
        return Rates(*(x.sum(axis=1, keepdims=True) for x in self.columns))

    @property
    def columns(self) -> tuple[Array, Array, Array, Array]:
        """The four counts."""
        return self.n_b, self.bad_b, self.n_c, self.bad_c

    def differences(self) -> Array:
        """Return candidate minus baseline within epochs, as rates.concurrent_rates."""
        n_b, n_c = np.maximum(self.n_b, 1e-12), np.maximum(self.n_c, 1e-12)
        weight = self.n_b * self.n_c / np.maximum(self.n_b + self.n_c, 1e-12)
        differences = (weight * (self.bad_c / n_c - self.bad_b / n_b)).sum(axis=1)
        return np.asarray(differences / np.maximum(weight.sum(axis=1), 1e-12))

    def take(self, which: NDArray[np.intp]) -> Rates:
        """Return some of them."""
        return Rates(*(x[which] for x in self.columns))

    def __len__(self) -> int:
        return len(self.n_b)


@dataclass(frozen=True, slots=True)
class RateResults:
    """One entry a comparison."""

    log_e_regressed: Array
    log_e_held: Array
    log_e_improved: Array
    lower: Array
    upper: Array
    traces_needed: Array


class RateBatch:
    """Compares all counts that share a prior rate, a margin and an alpha."""

    def __init__(self, prior_rate: float, margin: float, alpha: float) -> None:
        bases = base_rates(prior_rate)
        self._rates = np.array([base.rate for base in bases])
        self._log_weights = np.log([base.weight for base in bases])
        self._margin = margin
        self._threshold = -float(np.log(alpha))
        above = place_bets(bases, [(s * margin, w) for s, w in WORSE_SHIFTS])
        below = place_bets(bases, [(-s * margin, w) for s, w in BETTER_SHIFTS])
        self._above, self._below = _Bets.of(above), _Bets.of(below)
        self._base_of = np.repeat(np.arange(len(bases)), len(WORSE_SHIFTS))

    def compare(self, rates: Rates, is_shown: NDArray[np.bool_]) -> RateResults:
        """Return evidence for all, intervals where `is_shown`, else [-1, 1]."""
        n = len(rates)
        zeros = [np.zeros(n) for _ in range(4)]
        results = RateResults(zeros[0], zeros[1], zeros[2], -np.ones(n), np.ones(n), zeros[3])
        kept = self._kept(rates.summed())
        rates = rates.shared()
        patterns = kept @ (1 << np.arange(kept.shape[1]))
        for pattern in np.unique(patterns):
            which = np.nonzero(patterns == pattern)[0]
            used = kept[which[0]][self._base_of]
            chunk = max(1, _CHUNK // rates.n_b.shape[1])
            for start in range(0, len(which), chunk):
                self._compare(rates, which[start : start + chunk], used, is_shown, results)
        return results

    def _compare(
        self,
        rates: Rates,
        which: NDArray[np.intp],
        used: NDArray[np.bool_],
        is_shown: NDArray[np.bool_],
        results: RateResults,
    ) -> None:
        some = rates.take(which)
        above, below = self._above.only(used), self._below.only(used)
        zero, margin = np.zeros(len(some)), np.full(len(some), self._margin)
        held = below.terms(some, margin)
        results.log_e_regressed[which] = regressed = _log_sum(above.terms(some, zero))
        results.log_e_held[which] = log_held = _log_sum(held)
        results.log_e_improved[which] = improved = _log_sum(below.terms(some, zero))
        results.traces_needed[which] = self._needed(some, below, held)
        shown = np.nonzero(is_shown[which])[0]
        if not len(shown):
            return
        few = some.take(shown)
        estimate = few.differences()
        low, high = _half_widths(few, self._threshold)
        results.lower[which[shown]] = _search(
            above, few, estimate, -low, self._threshold, [(0.0, regressed[shown])]
        )
        results.upper[which[shown]] = _search(
            below, few, estimate, high, self._threshold,
            [(0.0, improved[shown]), (self._margin, log_held[shown])],
        )  # fmt: skip

    def _needed(self, rates: Rates, below: _Bets, held: Array) -> Array:
        """Return candidate traces until HELD at equal rates, inf where no bet gets there."""
        whole = rates.summed()
        rate = (whole.bad_b + whole.bad_c + 0.5) / (whole.n_b + whole.n_c + 1)
        others = whole.n_b / whole.n_c
        one = Rates(others, others * rate, np.ones(others.shape), rate)
        gain = below.terms(one, np.full(len(rates), self._margin)) - below.log_weight
        with np.errstate(divide="ignore", invalid="ignore"):
            needed = np.where(gain > 0, (self._threshold - held) / gain, np.inf)
        return np.asarray(np.maximum(needed.min(axis=1), 0.0))

    def _kept(self, whole: Rates) -> NDArray[np.bool_]:
        """Return which base rates each comparison keeps, as proportions.base_rates does."""
        n_b, bad_b, n_c, bad_c = (x[:, 0] for x in whole.columns)
        kept = np.zeros((len(whole), len(self._rates)), dtype=bool)
        middle = len(self._rates) // 2
        kept[:, middle - 1 : middle + 2] = True
        kept |= self._plausible(n_b, bad_b)
        kept |= self._plausible(n_b + n_c, bad_b + bad_c)
        return kept

    def _plausible(self, seen: Array, bad: Array) -> NDArray[np.bool_]:
        likelihood = np.outer(bad, np.log(self._rates)) + np.outer(
            seen - bad, np.log1p(-self._rates)
        )
        nats = likelihood + self._log_weights
        plausible = nats >= nats.max(axis=1, keepdims=True) - IMPLAUSIBLE_NATS
        best = likelihood.argmax(axis=1)
        for offset in (-1, 0, 1):
            step = best + offset
            inside = (step >= 0) & (step < BASE_STEPS)
            plausible[np.nonzero(inside)[0], step[inside]] = True
        return np.asarray(plausible)


@dataclass(frozen=True, slots=True)
class _Bets:
    """Bets of all comparisons (one row) or of each (a row a comparison)."""

    log_weight: Array
    baseline: Array
    shift: Array

    @classmethod
    def of(cls, bets: Sequence[tuple[float, float, float]]) -> _Bets:
        return cls(*(np.array(column)[None, :] for column in zip(*bets, strict=True)))

    def only(self, used: NDArray[np.bool_]) -> _Bets:
        return _Bets(self.log_weight[:, used], self.baseline[:, used], self.shift[:, used])

    def take(self, which: NDArray[np.intp]) -> _Bets:
        return _Bets(self.log_weight[which], self.baseline[which], self.shift[which])

    def put(self, which: NDArray[np.intp], others: _Bets) -> _Bets:
        """Return these bets with those of some comparisons replaced."""
        columns = [x.copy() for x in (self.log_weight, self.baseline, self.shift)]
        pairs = zip(columns, (others.log_weight, others.baseline, others.shift), strict=True)
        for column, other in pairs:
            column[which] = other
        return _Bets(*columns)

    def leading(self, rates: Rates, bounds: Array) -> _Bets:
        """Return for each comparison the bets with the largest terms at a bound."""
        terms = self.terms(rates, bounds)
        most = min(_FOLLOWED, terms.shape[1])
        best = np.argpartition(-terms, most - 1, axis=1)[:, :most]
        return _Bets(self.log_weight[0][best], self.baseline[0][best], self.shift[0][best])

    def terms(self, rates: Rates, bounds: Array) -> Array:
        """Return ln(w e) of each bet against a bound a comparison; -inf where it has no rate."""
        if len(self.shift) == 1 and len(bounds) and (bounds == bounds[0]).all():
            return self._shared_terms(rates, float(bounds[0]))
        bound = bounds[:, None]
        limit = self.baseline + bound
        candidate = np.clip(limit + self.shift, self.baseline / 4, 1 - (1 - self.baseline) / 4)
        is_beyond = np.where(self.shift < 0, candidate < limit, candidate > limit)
        is_beyond = is_beyond & (np.abs(bound) <= 1 - 1e-6)
        ratios = _log_ratios(rates, self.baseline, candidate, np.clip(bound, -0.999999, 0.999999))
        return np.asarray(np.where(is_beyond, ratios + self.log_weight, -np.inf))

    def _shared_terms(self, rates: Rates, bound: float) -> Array:
        """Return the same where all comparisons share bets and bound: constants come once."""
        b = self.baseline[0]
        c = np.clip(b + bound + self.shift[0], b / 4, 1 - (1 - b) / 4)
        is_beyond = np.where(self.shift[0] < 0, c < b + bound, c > b + bound)
        n_b, bad_b, n_c, bad_c = (x[:, 0] for x in rates.summed().columns)
        counts = np.stack((bad_c, n_c - bad_c, bad_b, n_b - bad_b), axis=1)
        logs = counts @ np.log(np.stack((c, 1 - c, b, 1 - b)))
        for epoch in range(rates.n_b.shape[1]):
            n_b, bad_b, n_c, bad_c = (x[:, epoch, None] for x in rates.columns)
            share = _share(n_b, n_c)
            if bound == 0:
                y = c * share + b * (1 - share)
                logs -= (bad_b + bad_c) * np.log(y)
                logs -= (n_b + n_c - bad_b - bad_c) * np.log(1 - y)
            else:
                y = _nearest_null(b, c, share, np.array(bound))
                z = y + bound
                logs -= bad_c * np.log(z) + (n_c - bad_c) * np.log(1 - z)
                logs -= bad_b * np.log(y) + (n_b - bad_b) * np.log(1 - y)
        return np.asarray(np.where(is_beyond, logs + self.log_weight, -np.inf))


def _share(n_b: Array, n_c: Array) -> Array:
    total = n_b + n_c
    return np.asarray(np.where(total > 0, n_c / np.maximum(total, 1e-12), 0.5))


def _log_ratios(rates: Rates, b: Array, c: Array, bound: Array) -> Array:
    """Return ln e of each bet (a column), multiplied over epochs."""
    ratios = np.zeros(np.broadcast_shapes(c.shape, (len(rates), 1)))
    for epoch in range(rates.n_b.shape[1]):
        n_b, bad_b, n_c, bad_c = (x[:, epoch, None] for x in rates.columns)
        y = _nearest_null(b, c, _share(n_b, n_c), bound)
        z = y + bound
        ratios += bad_c * np.log(c / z) + (n_c - bad_c) * np.log((1 - c) / (1 - z))
        ratios += bad_b * np.log(b / y) + (n_b - bad_b) * np.log((1 - b) / (1 - y))
    return ratios


def _nearest_null(b: Array, c: Array, share: Array, bound: Array) -> Array:
    """Return proportions.nearest_null for arrays."""
    if not bound.any():
        return np.asarray(share * c + (1 - share) * b)
    ratio = (1 - share) / share
    cubic = 1 + ratio
    square = -(1 + ratio + c + ratio * b + bound * (ratio + 2))
    linear = bound * bound + bound * (2 * c + ratio + 1) + c + ratio * b
    third = square / (3 * cubic)
    # Products instead of powers: a power costs as much as a logarithm and a sine together.
    offset = third * third * third - square * linear / (6 * cubic * cubic)
    offset = offset - c * bound * (1 + bound) / (2 * cubic)
    size = np.sqrt(np.maximum(third * third - linear / (3 * cubic), 1e-300))
    radius = np.copysign(size, offset)
    angle = (np.pi + np.arccos(np.clip(offset / (radius * radius * radius), -1, 1))) / 3
    low = np.maximum(0.0, -bound) + _EDGE
    high = np.minimum(1.0, 1.0 - bound) - _EDGE
    y = np.clip(2 * radius * np.cos(angle) - third - bound, low, high)
    y = np.where(bound == 0, share * c + (1 - share) * b, y)
    z = y + bound
    bad_c, good_c = share * c / z, share * (1 - c) / (1 - z)
    bad_b, good_b = (1 - share) * b / y, (1 - share) * (1 - b) / (1 - y)
    slope = good_c - bad_c + good_b - bad_b
    curvature = good_c / (1 - z) + bad_c / z + good_b / (1 - y) + bad_b / y
    return np.asarray(np.clip(y - slope / curvature, low, high))


def _log_sum(terms: Array) -> Array:
    top = terms.max(axis=1)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(safe + np.log(np.exp(terms - safe[:, None]).sum(axis=1)))


def _half_widths(rates: Rates, threshold: float) -> tuple[Array, Array]:
    """Return guesses at the distances of both bounds: normal, and Poisson for few events."""
    n_b, bad_b, n_c, bad_c = (x[:, 0] for x in rates.summed().columns)
    rate = (bad_b + bad_c + 1) / (n_b + n_c + 2)
    normal = np.sqrt(2 * rate * (1 - rate) * (1 / n_b + 1 / n_c) * (threshold + 1))
    low = np.minimum(0.98, normal + threshold / n_b)
    return low, np.minimum(0.98, normal + threshold / n_c)


def _search(
    bets: _Bets,
    rates: Rates,
    estimate: Array,
    step: Array,
    threshold: float,
    known: Sequence[tuple[float, Array]],
) -> Array:
    """Return bounds.outer_bound for arrays: where E reaches the threshold, erring outwards."""
    sign = np.sign(step)
    inside, below = estimate.copy(), np.full(len(rates), -threshold - _COST_NATS)
    outside, above = sign.copy(), np.full(len(rates), np.inf)
    for bound, value in known:
        is_between = (sign * inside < sign * bound) & (sign * bound < sign * outside)
        is_out, is_in = is_between & (value >= threshold), is_between & (value < threshold)
        outside[is_out], above[is_out] = bound, value[is_out] - threshold
        inside[is_in], below[is_in] = bound, np.maximum(value[is_in] - threshold, -1e6)
    guess = np.clip(estimate + step, -0.99, 0.99)
    followed = bets.leading(rates, guess)
    waiting = np.arange(len(rates))
    for number in range(_MOST_STEPS):
        gap, distance = np.abs(outside - inside)[waiting], np.abs(inside - estimate)[waiting]
        is_wide = gap > np.maximum(_RELATIVE_TOLERANCE * distance, _ABSOLUTE_TOLERANCE)
        waiting = waiting[is_wide & (above[waiting] > _CLOSE_NATS)]
        if not len(waiting):
            break
        few = rates.take(waiting)
        asked = _guess(
            guess[waiting], estimate[waiting], inside[waiting], below[waiting],
            outside[waiting], above[waiting], threshold,
        )  # fmt: skip
        if number == _CHOOSE_AGAIN:
            followed = followed.put(waiting, bets.leading(few, asked))
        value = _log_sum(followed.take(waiting).terms(few, asked)) - threshold
        is_out = value >= 0
        out, within = waiting[is_out], waiting[~is_out]
        outside[out], above[out] = asked[is_out], value[is_out]
        inside[within], below[within] = asked[~is_out], np.maximum(value[~is_out], -1e6)
        guess[waiting] = np.nan
    return np.asarray(outside)


def _guess(
    guess: Array, estimate: Array, inside: Array, below: Array, outside: Array, above: Array,
    threshold: float,
) -> Array:  # fmt: skip
    """Return the next bound to ask, a little beyond where the threshold is expected."""
    low, high = np.minimum(inside, outside), np.maximum(inside, outside)
    sign = np.where(outside > inside, 1.0, -1.0)
    # ln E grows with the square of the distance from the estimate, from about -_COST_NATS.
    near, far = np.abs(inside - estimate), np.abs(outside - estimate)
    is_open = np.isinf(above)
    with np.errstate(all="ignore"):
        growth = np.where(
            is_open, _growth(near, below, threshold), (above - below) / (far**2 - near**2)
        )
        reach = np.sqrt(near * near + (_AIM_NATS - below) / growth)
    reach = np.where(np.isfinite(reach), reach, near + far)
    edge = 0.03 * (far - near)
    model = np.where(is_open, np.clip(reach, 1.3 * near, 2.5 * near), reach)
    following = estimate + sign * np.clip(model, near + edge, far - edge)
    is_fitting = (guess > low) & (guess < high)
    return np.asarray(np.where(is_fitting, guess, following))


def _growth(distance: Array, value: Array, threshold: float) -> Array:
    return np.maximum(value + threshold + _COST_NATS, 0.1) / (distance * distance)
