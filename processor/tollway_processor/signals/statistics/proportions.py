"""The safe test of two proportions: e-values for a bound on the difference of two bad-event rates.

Sources: Turner, Ly and Grünwald, "Generic E-variables for exact sequential k-sample tests",
arXiv 2106.02693; with a bound other than zero: Turner and Grünwald, arXiv 2203.09785.
The proof is exact for independent traces and a split that does not depend on the results; the
realised split of an epoch that is still open, and counts divided by a design effect, are
approximations that `make bench-signals` measures. Intervals and states belong to rates.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .evidence import NO_EVIDENCE, log_sum_exp

_LOGIT_STEP = 0.6
_FARTHEST_STEP = 6
BASE_STEPS = 2 * _FARTHEST_STEP + 1
# The base rates of the bets, in steps of logit around the frozen prior rate. A bet that is half a
# step off loses about 5 % of its evidence, so three points serve a prior that is right within a
# factor of two; one twentieth is spread evenly, so that a prior wrong by 10x costs evidence and
# not sight. Finer grids were simulated and find nothing sooner.
_NEAR_WEIGHTS = {-1: 0.2, 0: 0.55, 1: 0.2}
_EVEN_WEIGHT = 0.05 / BASE_STEPS
_LOWEST_RATE, _HIGHEST_RATE = 0.002, 0.98
_EDGE = 1e-9
_NEAREST_TO_ONE = 1e-6
IMPLAUSIBLE_NATS = 6.0


class Counts(NamedTuple):
    """Traces and bad traces of both arms in one epoch of constant traffic share."""

    n_baseline: float
    bad_baseline: float
    n_candidate: float
    bad_candidate: float

    @property
    def share(self) -> float:
        """The realised share of the candidate, which the test needs instead of the nominal one."""
        return self.n_candidate / (self.n_candidate + self.n_baseline)

    def divided(self, design_effect: float) -> Counts:
        """Return the counts that as many independent traces would have given."""
        return Counts(*(count / design_effect for count in self))


class BaseRate(NamedTuple):
    """One rate of the baseline that alternatives start from, with its prior weight."""

    weight: float
    rate: float


def base_rates(prior_rate: float, epochs: Sequence[Counts] = ()) -> list[BaseRate]:
    """Return the baseline rates to bet on, around one that was frozen before the first trace.

    Rates far from the prior and from what the traces show, of the baseline and of both arms, are
    left out together with their weight: they would add next to nothing, and a smaller E stays an
    e-value.
    """
    prior = min(max(prior_rate, _LOWEST_RATE), _HIGHEST_RATE)
    centre = math.log(prior / (1 - prior))
    bases = {
        step: BaseRate(
            _EVEN_WEIGHT + _NEAR_WEIGHTS.get(step, 0.0),
            1 / (1 + math.exp(-(centre + step * _LOGIT_STEP))),
        )
        for step in range(-_FARTHEST_STEP, _FARTHEST_STEP + 1)
    }
    if not epochs:
        return list(bases.values())
    seen, bad, seen_c, bad_c = (sum(column) for column in zip(*epochs, strict=True))
    kept = {-1, 0, 1}
    kept |= _plausible_steps(bases, seen, bad)
    kept |= _plausible_steps(bases, seen + seen_c, bad + bad_c)
    return [base for step, base in bases.items() if step in kept]


def _plausible_steps(bases: dict[int, BaseRate], seen: float, bad: float) -> set[int]:
    """Return the steps whose rate may have given these traces, with the neighbours of the best."""
    likelihoods = {
        step: bad * math.log(base.rate) + (seen - bad) * math.log1p(-base.rate)
        for step, base in bases.items()
    }
    best = max(likelihoods, key=lambda step: likelihoods[step])
    nats = {step: likelihoods[step] + math.log(base.weight) for step, base in bases.items()}
    least = max(nats.values()) - IMPLAUSIBLE_NATS
    plausible = {step for step, value in nats.items() if value >= least}
    return plausible | ({best - 1, best, best + 1} & bases.keys())


class Bet(NamedTuple):
    """A pair of rates that the test bets on, given the bound that it is tested against."""

    log_weight: float
    baseline: float
    shift: float
    "Candidate minus baseline, beyond the bound: above it where positive, below where negative."

    def candidate(self, bound: float) -> float | None:
        """Return the candidate's rate, None where no rate lies beyond the bound.

        A rate stays between a quarter of the baseline's and a quarter of its distance from 1;
        what the shift would add is cut off, so that rare events keep all their bets, and bounds
        that lie beyond any rate near the baseline's have bets too.
        """
        limit = self.baseline + bound
        rate = min(max(limit + self.shift, self.baseline / 4), 1 - (1 - self.baseline) / 4)
        is_beyond = rate < limit if self.shift < 0 else rate > limit
        return rate if is_beyond else None


def place_bets(bases: Iterable[BaseRate], shifts: Iterable[tuple[float, float]]) -> list[Bet]:
    """Return one bet for each base rate and each (shift, weight); weights sum to at most 1."""
    chosen = list(shifts)
    return [
        Bet(math.log(base.weight * weight), base.rate, shift)
        for base in bases
        for shift, weight in chosen
    ]


def nearest_null(baseline: float, candidate: float, share: float, bound: float) -> float:
    """Return the baseline rate y that minimises share kl(c, y + bound) + (1 - share) kl(b, y).

    (y, y + bound) is the reverse information projection of the alternative on the null, which
    makes the likelihood ratio against it an e-value. Source of the closed root of the cubic:
    Farrington and Manning, Statistics in Medicine 1990, appendix.
    """
    if bound == 0:
        return share * candidate + (1 - share) * baseline
    ratio = (1 - share) / share
    cubic = 1 + ratio
    square = -(1 + ratio + candidate + ratio * baseline + bound * (ratio + 2))
    linear = bound * bound + bound * (2 * candidate + ratio + 1) + candidate + ratio * baseline
    constant = -candidate * bound * (1 + bound)
    third = square / (3 * cubic)
    radius_sq = third * third - linear / (3 * cubic)
    offset = third**3 - square * linear / (6 * cubic * cubic) + constant / (2 * cubic)
    radius = math.copysign(math.sqrt(max(radius_sq, 0.0)), offset)
    cosine = offset / radius**3 if radius else 1.0
    angle = (math.pi + math.acos(min(1.0, max(-1.0, cosine)))) / 3
    rate = 2 * radius * math.cos(angle) - third - bound
    return _polished(rate, baseline, candidate, share, bound)


def _polished(rate: float, baseline: float, candidate: float, share: float, bound: float) -> float:
    """Return the root after one Newton step, kept inside its interval.

    The arc cosine loses half of the digits where two roots of the cubic nearly meet.
    """
    lowest, highest = max(0.0, -bound) + _EDGE, min(1.0, 1.0 - bound) - _EDGE
    rate = min(max(rate, lowest), highest)
    other = 1 - share
    bad_c, good_c = share * candidate / (rate + bound), share * (1 - candidate) / (1 - rate - bound)
    bad_b, good_b = other * baseline / rate, other * (1 - baseline) / (1 - rate)
    slope = good_c - bad_c + good_b - bad_b
    curvature = (
        good_c / (1 - rate - bound) + bad_c / (rate + bound) + good_b / (1 - rate) + bad_b / rate
    )
    return min(max(rate - slope / curvature, lowest), highest)


def log_likelihood_ratio(
    counts: Counts, baseline: float, candidate: float, *, bound: float = 0.0
) -> float:
    """Return ln e of one alternative against its nearest null, 0 while an arm is empty."""
    if not counts.n_baseline or not counts.n_candidate:
        return 0.0
    null = nearest_null(baseline, candidate, counts.share, bound)
    shifted = null + bound
    log = math.log
    return (
        counts.bad_candidate * log(candidate / shifted)
        + (counts.n_candidate - counts.bad_candidate) * log((1 - candidate) / (1 - shifted))
        + counts.bad_baseline * log(baseline / null)
        + (counts.n_baseline - counts.bad_baseline) * log((1 - baseline) / (1 - null))
    )


def log_terms(epochs: Sequence[Counts], bets: Sequence[Bet], bound: float) -> list[float]:
    """Return ln(w_j e_j) of each bet, multiplied over epochs; -inf where it has no rate.

    A bet keeps its rates over all epochs, so many short epochs cost no evidence.
    """
    if abs(bound) > 1 - _NEAREST_TO_ONE:
        return [NO_EVIDENCE] * len(bets)
    terms = []
    for bet in bets:
        candidate = bet.candidate(bound)
        log_e = NO_EVIDENCE if candidate is None else bet.log_weight
        if candidate is not None:
            for counts in epochs:
                log_e += log_likelihood_ratio(counts, bet.baseline, candidate, bound=bound)
        terms.append(log_e)
    return terms


def log_evidence(epochs: Sequence[Counts], bets: Sequence[Bet], bound: float) -> float:
    """Return ln E against the null on the other side of the bound; -inf without any bet."""
    return log_sum_exp(log_terms(epochs, bets, bound))
