"""Logarithms of e-values: averaging them, their threshold, and the normal tail they need.

An e-value E is evidence against a null whose expectation under that null is at most 1, so
P(E ever reaches 1/alpha) <= alpha however often one looks (Ville's inequality).
What the evidence is about belongs to the modules that compute it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

NO_EVIDENCE = -math.inf
_ERFC_UNDERFLOW = -30.0


def log_threshold(alpha: float) -> float:
    """Return ln(1/alpha): evidence at or above it may be acted on at error rate alpha."""
    return -math.log(alpha)


def log_sum_exp(values: Iterable[float]) -> float:
    """Return ln(sum of exp(value)), -inf for no values, without overflow."""
    terms = list(values)
    top = max(terms, default=NO_EVIDENCE)
    if math.isinf(top):
        return top
    return top + math.log(math.fsum(math.exp(term - top) for term in terms))


def log_average(log_e_values: Iterable[float], weights: Iterable[float]) -> float:
    """Return ln(sum of w_k E_k): an e-value under any dependence when the weights sum to <= 1.

    Source: Vovk and Wang, "E-values: calibration, combination and applications", Ann. Stat. 2021.
    """
    pairs = zip(log_e_values, weights, strict=True)
    return log_sum_exp(log_e + math.log(weight) for log_e, weight in pairs if weight > 0)


def bounded_exp(log_value: float) -> float:
    """Return exp(log_value), capped at the largest float instead of overflowing."""
    return math.exp(min(log_value, 709.0))


def log_normal_cdf(x: float) -> float:
    """Return ln Phi(x) with full relative precision in both tails."""
    if x > 0:
        return math.log1p(-0.5 * math.erfc(x / math.sqrt(2)))
    if x > _ERFC_UNDERFLOW:
        return math.log(0.5 * math.erfc(-x / math.sqrt(2)))
    # Mills' ratio; at x = -30 the first term left out is below 2e-8 of the value.
    square = x * x
    series = 1 - 1 / square + 3 / square**2 - 15 / square**3
    return -0.5 * square - math.log(-x * math.sqrt(2 * math.pi)) + math.log(series)
