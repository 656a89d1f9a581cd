"""Evidence and interval of a difference of rates, from a test that takes any bound on it.

The tests are in proportions (by way of rates) and paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Protocol

from .comparison import Criteria, Evidence
from .evidence import log_threshold

_MOST_STEPS = 60
# The interval's ends are found to this part of their distance from the estimate, outwards.
_RELATIVE_TOLERANCE = 0.02
_ABSOLUTE_TOLERANCE = 1e-4


class BoundTest(Protocol):
    """The e-values of one set of counts for any bound on the difference of rates."""

    def log_e_above(self, bound: float) -> float:
        """Return ln E against `the difference is at most bound`."""

    def log_e_below(self, bound: float) -> float:
        """Return ln E against `the difference is at least bound`."""


def gather_evidence(test: BoundTest, margin: float) -> Evidence:
    """Return the evidence for the three claims about a difference."""
    return Evidence(test.log_e_above(0.0), test.log_e_below(margin), test.log_e_below(0.0))


def invert(
    test: BoundTest, estimate: float, first_step: float, evidence: Evidence, criteria: Criteria
) -> tuple[float, float]:
    """Return the interval of all differences that the test does not reject, within [-1, 1].

    first_step: a guess at the half width.
    """
    threshold = log_threshold(criteria.alpha)
    lower = outer_bound(
        test.log_e_above,
        estimate,
        -first_step,
        threshold,
        limit=-1.0,
        known=((0.0, evidence.log_e_regressed),),
    )
    upper = outer_bound(
        test.log_e_below,
        estimate,
        first_step,
        threshold,
        limit=1.0,
        known=((0.0, evidence.log_e_improved), (criteria.margin, evidence.log_e_held)),
    )
    return lower, upper


def outer_bound(
    log_e: Callable[[float], float],
    estimate: float,
    first_step: float,
    threshold: float,
    *,
    limit: float,
    known: Iterable[tuple[float, float]] = (),
) -> float:
    """Return where log_e(bound) reaches the threshold, going from the estimate to the limit.

    first_step: signed guess at the distance. known: (bound, log_e) already computed; the answer
    lies on the side of each that its evidence says. The answer errs outwards by at most 2 % of
    the distance from the estimate, and is the limit where nothing before it is rejected.
    """
    bracket = _Bracket(estimate, limit, threshold)
    for bound, value in known:
        if bracket.has_inside(bound):
            bracket.narrow(bound, value)
    guess = estimate + first_step
    for _ in range(_MOST_STEPS):
        if bracket.is_narrow:
            break
        if not bracket.has_inside(guess):
            guess = bracket.next_guess()
        bracket.narrow(guess, log_e(guess))
        guess = bracket.next_guess()
    return bracket.outside


class _Bracket:
    """The last value that is not rejected (inside) and the first that is (outside)."""

    def __init__(self, estimate: float, limit: float, threshold: float) -> None:
        self._estimate = estimate
        self._threshold = threshold
        self._sign = 1.0 if limit > estimate else -1.0
        self._inside, self._below = estimate, -threshold
        self.outside, self._above = limit, math.inf
        # Beyond this the test has no alternatives to bet on, so that asking tells nothing.
        self._reach = limit

    @property
    def is_narrow(self) -> bool:
        """Whether inside and outside, or all that may be asked in between, have met."""
        gap = abs(min(self.outside, self._reach, key=lambda x: self._sign * x) - self._inside)
        distance = abs(self._inside - self._estimate)
        return gap <= max(_RELATIVE_TOLERANCE * distance, _ABSOLUTE_TOLERANCE)

    def has_inside(self, bound: float) -> bool:
        """Say whether the evidence at a bound would still narrow the bracket."""
        place = self._sign * bound
        farthest = min(self._sign * self.outside, self._sign * self._reach)
        return self._sign * self._inside < place < farthest

    def narrow(self, bound: float, value: float) -> None:
        """Move the end of the bracket that the evidence at a bound says."""
        if value >= self._threshold:
            self.outside, self._above = bound, value - self._threshold
        elif value == -math.inf:
            self._reach = bound
        else:
            self._inside, self._below = bound, value - self._threshold

    def next_guess(self) -> float:
        """Return the next bound to ask: farther out while unbounded, else on the straight line."""
        farther = self._estimate + 1.6 * (self._inside - self._estimate)
        if self._above == math.inf and self.has_inside(farther):
            return farther
        end = min(self.outside, self._reach, key=lambda x: self._sign * x)
        if self._above == math.inf or end != self.outside:
            return (self._inside + end) / 2
        # Aim a little beyond the line, so that both ends of the bracket move.
        fraction = -self._below / (self._above - self._below)
        return self._inside + (end - self._inside) * min(0.97, max(0.03, fraction + 0.02))
