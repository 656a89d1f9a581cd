"""Where the evidence of many comparisons reaches its threshold: the ends of their intervals.

The same as bounds.outer_bound by arrays; the evidence at a bound is bets.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .bets import Array, Bets, Rates, log_sum

FOLLOWED = 5  # bets that are followed while an interval is searched
_CHOOSE_AGAIN = 3  # a first guess far from the end chose bets that do not count there
_MOST_STEPS = 20
_COST_NATS = 2.0  # what the mixture pays for not knowing the rates
# A bound whose evidence is above the threshold by less than this is at most 2 % too far out.
_CLOSE_NATS = 0.2
_AIM_NATS = 0.08
_RELATIVE_TOLERANCE = 0.02
_ABSOLUTE_TOLERANCE = 1e-4


def half_widths(rates: Rates, threshold: float) -> tuple[Array, Array]:
    """Return guesses at the distances of both bounds: normal, and Poisson for few events."""
    n_b, bad_b, n_c, bad_c = (x[0] for x in rates.summed().columns)
    rate = (bad_b + bad_c + 1) / (n_b + n_c + 2)
    normal = np.sqrt(2 * rate * (1 - rate) * (1 / n_b + 1 / n_c) * (threshold + 1))
    low = np.minimum(0.98, normal + threshold / n_b)
    return low, np.minimum(0.98, normal + threshold / n_c)


def search_bounds(
    choose: Callable[[NDArray[np.intp], Array], Bets],
    rates: Rates,
    estimate: Array,
    step: Array,
    threshold: float,
    known: Sequence[tuple[float, Array]],
) -> Array:
    """Return bounds.outer_bound for arrays: where E reaches the threshold, erring outwards.

    choose: returns the bets to follow for some of the comparisons, given a bound of each.
    known: a bound with the evidence of all comparisons there, NaN where it says nothing.
    """
    sign = np.sign(step)
    inside, below = estimate.copy(), np.full(len(rates), -threshold - _COST_NATS)
    outside, above = sign.copy(), np.full(len(rates), np.inf)
    for bound, value in known:
        is_between = (sign * inside < sign * bound) & (sign * bound < sign * outside)
        is_out, is_in = is_between & (value >= threshold), is_between & (value < threshold)
        outside[is_out], above[is_out] = bound, value[is_out] - threshold
        inside[is_in], below[is_in] = bound, np.maximum(value[is_in] - threshold, -1e6)
    guess = np.clip(estimate + step, -0.99, 0.99)
    waiting = np.arange(len(rates))
    followed = choose(waiting, guess)
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
            followed.put(waiting, choose(waiting, asked))
        value = log_sum(followed.take(waiting).terms(few, asked)) - threshold
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
