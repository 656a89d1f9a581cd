"""The test of proportions over many comparisons at once; the same numbers as rates.py, faster.

One comparison costs rates.py a millisecond, and a thousand routes have a third of a million. Bets
are laid out once for each (prior rate, margin); comparisons that keep the same base rates share an
array. What is computed, and why, is explained in proportions.py and rates.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .bets import Array, Bets, Rates, log_sum
from .bound_search import FOLLOWED, half_widths, search_bounds
from .proportions import (
    BASE_STEPS,
    IMPLAUSIBLE_NATS,
    base_rates,
    place_bets,
)
from .rates import BETTER_SHIFTS, WORSE_SHIFTS

_CHUNK = 1024  # comparisons whose intervals are searched together


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
        self._above, self._below = Bets.of(above), Bets.of(below)
        self._base_of = np.repeat(np.arange(len(bases)), len(WORSE_SHIFTS))

    def compare(self, rates: Rates, is_shown: NDArray[np.bool_]) -> RateResults:
        """Return evidence for all, intervals where `is_shown`, else [-1, 1]."""
        n = len(rates)
        zeros = [np.zeros(n) for _ in range(4)]
        results = RateResults(zeros[0], zeros[1], zeros[2], -np.ones(n), np.ones(n), zeros[3])
        kept = self._kept(rates.summed())
        patterns = kept @ (1 << np.arange(kept.shape[1]))
        rates = rates.shared()
        for which, used in self._alike(patterns):
            self._gather(rates.take(which), which, used, results)
        shown = np.nonzero(is_shown)[0]
        for start in range(0, len(shown), _CHUNK):
            self._search(rates, patterns, shown[start : start + _CHUNK], results)
        return results

    def _alike(
        self, patterns: NDArray[np.intp]
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
        """Yield the comparisons that keep the same base rates, and which bets these are."""
        for pattern in np.unique(patterns):
            kept = (pattern >> np.arange(len(self._rates))) & 1 > 0
            yield np.nonzero(patterns == pattern)[0], kept[self._base_of]

    def _gather(
        self,
        some: Rates,
        which: NDArray[np.intp],
        used: NDArray[np.bool_],
        results: RateResults,
    ) -> None:
        above, below = self._above.only(used), self._below.only(used)
        held, gains = below.terms_and_gains(some, self._margin)
        results.log_e_regressed[which] = log_sum(above.terms_at_zero(some))
        results.log_e_held[which] = log_sum(held)
        results.log_e_improved[which] = log_sum(below.terms_at_zero(some))
        results.traces_needed[which] = self._needed(held, gains)

    def _search(
        self,
        rates: Rates,
        patterns: NDArray[np.intp],
        which: NDArray[np.intp],
        results: RateResults,
    ) -> None:
        """Search both ends of the intervals of some comparisons, the lower ones first."""
        n = len(which)
        both = np.concatenate((which, which))
        ends = rates.take(both)
        low, high = half_widths(rates.take(which), self._threshold)
        known = [
            (0.0, np.concatenate((results.log_e_regressed[which], results.log_e_improved[which]))),
            (self._margin, np.concatenate((np.full(n, np.nan), results.log_e_held[which]))),
        ]

        is_upper = np.repeat([False, True], n)

        def choose(some: NDArray[np.intp], bounds: Array) -> Bets:
            return self._leading(ends.take(some), bounds, patterns[both[some]], is_upper[some])

        found = search_bounds(
            choose, ends, ends.differences(), np.concatenate((-low, high)), self._threshold, known
        )
        results.lower[which], results.upper[which] = found[:n], found[n:]

    def _leading(
        self,
        ends: Rates,
        bounds: Array,
        patterns: NDArray[np.intp],
        is_upper: NDArray[np.bool_],
    ) -> Bets:
        """Return the bets to follow towards the ends of intervals."""
        chosen = Bets.none(FOLLOWED, len(ends))
        for bets, of_side in ((self._above, ~is_upper), (self._below, is_upper)):
            side = np.nonzero(of_side)[0]
            for some, used in self._alike(patterns[side]):
                places = side[some]
                leading = bets.only(used).leading(ends.take(places), bounds[places], FOLLOWED)
                chosen.put(places, leading)
        return chosen

    def _needed(self, held: Array, gains: Array) -> Array:
        """Return candidate traces until HELD at equal rates, inf where no bet gets there."""
        with np.errstate(divide="ignore", invalid="ignore"):
            needed = np.where(gains > 0, (self._threshold - held) / gains, np.inf)
        return np.asarray(np.maximum(needed.min(axis=0), 0.0))

    def _kept(self, whole: Rates) -> NDArray[np.bool_]:
        """Return which base rates each comparison keeps, as proportions.base_rates does."""
        n_b, bad_b, n_c, bad_c = (x[0] for x in whole.columns)
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
