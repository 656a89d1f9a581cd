"""Estimated harms of many comparisons by arrays, the same as means.py and strata.py estimate them.

What was cut into epochs is left to the functions for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .answers import SizeColumns
from .arm_columns import ArmColumns, Array, summed
from .arms import Arm
from .means import PSEUDO_TRACES, MeanQuestion, harm_sign, mean_effect
from .strata import MOST_LEFT_OUT, TRUSTED_TRACES, StrataQuestion, Stratum

Epochs = Sequence[tuple[Arm, Arm]]
Limits = tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class HarmColumns:
    """As means.Estimate, an entry a comparison."""

    difference: Array
    variance: Array
    variance_held: Array
    baseline: Array
    sizes: SizeColumns
    design_effect: Array


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Baseline and candidate of many cohorts, with the limits of their values."""

    baseline: ArmColumns
    candidate: ArmColumns
    limits: Sequence[Limits]

    def effects(self, pairs: Sequence[MeanQuestion | Stratum]) -> NDArray[np.float64]:
        """Return a row each of means.MeanEffect: candidate minus baseline."""
        b, c = self.baseline, self.candidate
        (base, _), (own, _) = b.spread(), c.spread()
        larger = np.maximum(own, base * b.n / np.maximum(c.n, 1e-300))
        low, high = np.array([limits or (np.nan, np.nan) for limits in self.limits]).T
        unseen = np.nan_to_num(_unseen(b, low, high) + _unseen(c, low, high))
        found = np.array((c.mean - b.mean, own + base, larger + base + unseen, b.mean))
        found[:3, (b.n == 0) | (c.n == 0)] = 0.0
        for place, pair in enumerate(pairs):
            if pair.epochs:
                limits = self.limits[place]
                effect = mean_effect(pair.baseline, pair.candidate, limits, pair.epochs)
                found[:, place] = (
                    effect.difference, effect.variance, effect.variance_held, effect.baseline,
                )  # fmt: skip
        return found

    @property
    def sizes(self) -> SizeColumns:
        """As Sizes.of."""
        b, c = self.baseline, self.candidate
        return SizeColumns(b.n, c.n, b.effective_clusters, c.effective_clusters)


def _unseen(arms: ArmColumns, low: Array, high: Array) -> Array:
    """As means._unseen_variance; NaN where the limits are not known."""
    reach = np.maximum(np.abs(arms.mean - low), np.abs(arms.mean - high))
    return np.asarray(PSEUDO_TRACES * (reach / np.maximum(arms.n, 1e-300)) ** 2)


def harms_of(questions: Sequence[MeanQuestion]) -> HarmColumns:
    """Return the harms that these comparisons of two means are concluded from."""
    pairs = _Pairs(
        ArmColumns.of([q.baseline for q in questions]),
        ArmColumns.of([q.candidate for q in questions]),
        [q.value_range for q in questions],
    )
    difference, variance, held, baseline = pairs.effects(questions)
    signs = np.array([harm_sign(q.worse) for q in questions])
    effect = np.maximum(pairs.baseline.spread()[1], pairs.candidate.spread()[1])
    return HarmColumns(signs * difference, variance, held, baseline, pairs.sizes, effect)


def harms_over(questions: Sequence[StrataQuestion]) -> HarmColumns:
    """Return the harms that these comparisons over cohorts are concluded from."""
    usable = [[s for s in q.strata if s.has_both and s.weight > 0] for q in questions]
    declared = np.array([sum(s.weight for s in q.strata) for q in questions])
    covered = np.array([sum(s.weight for s in some) for some in usable])
    flat = [stratum for some in usable for stratum in some]
    n = len(questions)
    group = np.repeat(np.arange(n), [len(some) for some in usable])
    is_rate = np.array([q.is_rate for q in questions])[group]
    limits = [q.limits for q in questions]
    pairs = _Pairs(
        ArmColumns.of([s.baseline for s in flat]).as_rates(is_rate),
        ArmColumns.of([s.candidate for s in flat]).as_rates(is_rate),
        [limits[place] for place in group],
    )
    share = np.array([s.weight for s in flat]) / covered[group]
    effects = pairs.effects(flat)
    effects[1:3] += _borrowed(pairs, group, n)
    effects *= np.array((share, share * share, share * share, share))
    difference, variance, held, baseline = (summed(x, group, n) for x in effects)
    signs = np.array([harm_sign(q.worse) for q in questions])
    is_covered = (declared > 0) & (covered >= (1 - MOST_LEFT_OUT) * declared)
    sizes = pairs.sizes
    all_sizes = SizeColumns(
        *(
            np.where(is_covered, summed(getattr(sizes, name), group, n), 0.0)
            for name in SizeColumns.__dataclass_fields__
        )
    )
    return HarmColumns(signs * difference, variance, held, baseline, all_sizes, np.ones(n))


def _borrowed(pairs: _Pairs, group: NDArray[np.intp], groups: int) -> Array:
    """Return the variance that small cohorts take over from all of their arm, as strata.py."""
    borrowed = np.zeros(len(group))
    for arms in (pairs.baseline, pairs.candidate):
        whole = arms.pooled(group, groups)
        unit = (whole.spread()[0] * whole.n)[group]
        more = np.maximum(unit / np.maximum(arms.n, 1e-300) - arms.spread()[0], 0.0)
        borrowed += np.where(arms.n < TRUSTED_TRACES, more, 0.0)
    return borrowed
