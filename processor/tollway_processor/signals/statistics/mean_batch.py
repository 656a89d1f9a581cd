"""Conclusions from many estimated harms at once; the same answers as means.conclude.

The formulas and their sources are in means.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .answers import Answers, CriteriaColumns
from .comparison import Comparison, Criteria
from .effect_columns import HarmColumns
from .means import FARTHEST_FACTOR, VARIANCE_FLOOR, MeanQuestion, harm_sign, with_minimums
from .strata import StrataQuestion

Array = NDArray[np.float64]
_NEWTON_STEPS = 30
_BISECTIONS = 9
_erfc_object = np.frompyfunc(math.erfc, 1, 1)


def conclude_means(
    questions: Sequence[MeanQuestion | StrataQuestion], harms: HarmColumns
) -> list[Comparison]:
    """Return the comparison of each estimated harm."""
    held_to: dict[int, Criteria] = {}
    for question in questions:
        given = question.criteria
        held_to[id(given)] = held_to.get(id(given)) or with_minimums(given)
    criteria = CriteriaColumns([held_to[id(q.criteria)] for q in questions])
    margin, alpha, harm, sizes = criteria.margin, criteria.alpha, harms.difference, harms.sizes
    floor = VARIANCE_FLOOR * margin * margin
    variance = np.maximum(harms.variance, floor)
    variance_held = np.maximum(harms.variance_held, floor)
    has_both = (sizes.n_candidate > 0) & (sizes.n_baseline > 0)
    with np.errstate(invalid="ignore"):
        more = (factors_needed(harm, variance_held, margin, alpha) - 1) * sizes.n_candidate
    signs = np.array([harm_sign(q.worse) for q in questions])
    answers = Answers(
        methods=[q.method for q in questions],
        baseline=harms.baseline,
        candidate=harms.baseline + signs * harm,
        difference=harm,
        lower=harm - radii(variance, margin, alpha),
        upper=harm + radii(variance_held, margin, alpha),
        log_e_regressed=log_mixtures(harm, variance, margin),
        log_e_held=log_mixtures(margin - harm, variance_held, margin),
        log_e_improved=log_mixtures(-harm, variance_held, margin),
        needed=np.where(has_both, more, np.inf),
        design_effect=harms.design_effect,
        worse=[q.worse for q in questions],
        unknown=(-math.inf, math.inf),
    )
    return answers.concluded(sizes, criteria)


def _erfc(x: Array) -> Array:
    return np.asarray(_erfc_object(x), dtype=np.float64)


def log_normal_cdfs(x: Array) -> Array:
    """Return ln Phi(x), as evidence.log_normal_cdf."""
    tail = 0.5 * np.maximum(_erfc(np.minimum(np.abs(x), 30.0) / math.sqrt(2)), 1e-300)
    found = np.where(x > 0, np.log1p(-tail), np.log(tail))
    far = x < -30
    if far.any():
        square = x[far] * x[far]
        series = 1 - 1 / square + 3 / square**2 - 15 / square**3
        found[far] = -0.5 * square - np.log(-x[far] * math.sqrt(2 * math.pi)) + np.log(series)
    return np.asarray(found)


def log_mixtures(effect: Array, variance: Array, scale: Array) -> Array:
    """Return means.log_mixture for arrays; the variance must be above 0."""
    ratio = scale * scale / variance
    shrink = ratio / (1 + ratio)
    z = effect / np.sqrt(variance)
    mixed = math.log(2) - 0.5 * np.log1p(ratio) + 0.5 * z * z * shrink
    return np.asarray(mixed + log_normal_cdfs(z * np.sqrt(shrink)))


def _first_z(ratio: Array, alpha: Array) -> Array:
    """Return the closed approximation of radius / sqrt(V), at most 1.1 % above it."""
    return np.asarray(np.sqrt(2 * (1 + 1 / ratio) * np.log1p(np.sqrt(1 + ratio) / (2 * alpha))))


def radii(variance: Array, scale: Array, alpha: Array) -> Array:
    """Return means.radius for arrays; the variance must be above 0."""
    ratio = scale * scale / variance
    root = np.sqrt(ratio / (1 + ratio))
    z = _first_z(ratio, alpha)
    constant = math.log(2) - 0.5 * np.log1p(ratio) + np.log(alpha)
    for _ in range(_NEWTON_STEPS):
        u = z * root
        log_cdf = log_normal_cdfs(u)
        hazard = np.exp(-0.5 * u * u - log_cdf) / math.sqrt(2 * math.pi)
        step = (constant + 0.5 * u * u + log_cdf) / (root * (u + hazard))
        z = z - step
        if np.all(np.abs(step) < 1e-6 * z):  # the next would be below 1e-12
            break
    return np.asarray(z * np.sqrt(variance))


def factors_needed(harm: Array, variance: Array, margin: Array, alpha: Array) -> Array:
    """Return how many times the present traces HELD is expected at when the true harm is 0.

    By the closed approximation of the radius, so up to 2 % more than means.conclude says; inf
    where not even a million times the traces would do.
    """

    def holds(factor: Array) -> NDArray[np.bool_]:
        spread = variance / factor
        reach = _first_z(margin * margin / spread, alpha) * np.sqrt(spread)
        return np.asarray(harm / factor + reach <= margin)

    few, many = np.ones(len(harm)), np.full(len(harm), 2.0)
    waiting = ~holds(many)
    while waiting.any() and many.max() <= FARTHEST_FACTOR:
        few = np.where(waiting, many, few)
        many = np.where(waiting, 2 * many, many)
        waiting = waiting & ~holds(many)
    for _ in range(_BISECTIONS):
        middle = (few + many) / 2
        is_held = holds(middle)
        few, many = np.where(is_held, few, middle), np.where(is_held, middle, many)
    return np.asarray(np.where(waiting, np.inf, many))
