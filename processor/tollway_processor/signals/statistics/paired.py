"""Comparison of mirrored pairs: the same input answered by both variants.

Rates look at the discordant pairs only, by the trinomial form of the safe test of proportions
(Turner and Grünwald, arXiv 2203.09785; at a bound of 0 it is a sequential McNemar test); means
look at the differences within pairs. Exact for independent pairs; sessions enter by a design
effect, as a heuristic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .arms import Arm
from .bounds import gather_evidence, invert
from .comparison import Comparison, Criteria, Sizes, State, state_of, still_needed
from .evidence import log_sum_exp, log_threshold
from .means import Estimate, MeanEffect, conclude, harm_sign

# Odds of "only the candidate is bad" among discordant pairs that are bet on, as in a relative
# risk of 1.25 to 10.
_ODDS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
# The share of discordant pairs, in factors of the prior one, with weights, and two shares for a
# candidate that is broken. At a bound of 0 they all give the same evidence.
_DISCORDANCE_FACTORS = ((0.25, 0.1), (0.5, 0.2), (1.0, 0.35), (2.0, 0.2), (4.0, 0.1))
_BROKEN_DISCORDANCES = ((0.5, 0.03), (0.95, 0.02))
_LEAST_DISCORDANCE, _MOST_DISCORDANCE = 0.004, 0.95
_EDGE = 1e-12


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Pairs by which of the two answers was bad."""

    n: float
    only_candidate_bad: float
    only_baseline_bad: float
    both_bad: float = 0.0

    @property
    def difference(self) -> float:
        """Candidate minus baseline rate; 0 without pairs."""
        return (self.only_candidate_bad - self.only_baseline_bad) / self.n if self.n else 0.0

    @property
    def discordance(self) -> float:
        """Share of pairs of which one answer was bad, with one imagined pair of each sort."""
        return (self.only_candidate_bad + self.only_baseline_bad + 1) / (self.n + 2)


class PairTest:
    """The e-values of one set of pairs for any bound on the difference of rates."""

    def __init__(self, pairs: PairCounts, prior_discordance: float, effect: float = 1.0) -> None:
        self._counts = (
            pairs.only_candidate_bad / effect,
            pairs.only_baseline_bad / effect,
            (pairs.n - pairs.only_candidate_bad - pairs.only_baseline_bad) / effect,
        )
        scaled = ((prior_discordance * factor, w) for factor, w in _DISCORDANCE_FACTORS)
        self._discordances = [
            (min(max(share, _LEAST_DISCORDANCE), _MOST_DISCORDANCE), weight)
            for share, weight in (*scaled, *_BROKEN_DISCORDANCES)
        ]

    def log_e_above(self, bound: float) -> float:
        """Return ln E against `the difference is at most bound`."""
        return log_sum_exp(self._log_terms(self._counts, bound))

    def log_e_below(self, bound: float) -> float:
        """Return ln E against `the difference is at least bound`."""
        b, c, ties = self._counts
        return log_sum_exp(self._log_terms((c, b, ties), -bound))

    def pairs_until_below(self, bound: float, alpha: float, discordance: float) -> float:
        """Return the pairs until E_below reaches 1/alpha if neither variant is worse."""
        b, c, ties = self._counts
        reached = self._log_terms((c, b, ties), -bound)
        per_pair = (discordance / 2, discordance / 2, 1 - discordance)
        prior = self._log_terms((0.0, 0.0, 0.0), -bound)
        ahead = self._log_terms(per_pair, -bound)
        needed = [
            (log_threshold(alpha) - now) / (then - start)
            for now, then, start in zip(reached, ahead, prior, strict=True)
            if then > start
        ]
        return max(0.0, min(needed, default=math.inf))

    def _log_terms(self, counts: Sequence[float], bound: float) -> list[float]:
        """Return ln(w e) of each alternative above the bound, for (worse, better, tied) counts."""
        terms = []
        for discordance, weight in self._discordances:
            if discordance <= abs(bound):
                continue
            log_weight = math.log(weight / len(_ODDS))
            for odds in _ODDS:
                reach = (odds - 1) / (odds + 1)
                difference = bound + reach * (discordance - bound)
                worse = (discordance + difference) / 2
                log_ratio = _log_ratio(counts, worse, discordance - worse, bound)
                terms.append(log_weight + log_ratio)
        return terms


def _log_ratio(counts: Sequence[float], worse: float, better: float, bound: float) -> float:
    """Return ln of the trinomial likelihood ratio of an alternative to its nearest null."""
    null_better = nearest_null(worse, better, bound)
    null = (null_better + bound, null_better, 1 - bound - 2 * null_better)
    alternative = (worse, better, 1 - worse - better)
    return math.fsum(
        count * math.log(a / max(b, _EDGE))
        for count, a, b in zip(counts, alternative, null, strict=True)
    )


def nearest_null(worse: float, better: float, bound: float) -> float:
    """Return the y that minimises the divergence of (worse, better, tie) from (y + bound, y, ..).

    The reverse information projection on `the difference is at most bound`, the positive root of
    a quadratic. Shares are of all pairs.
    """
    if bound == 0:
        return (worse + better) / 2
    # From worse/(y+d) + better/y = 2 tie/(1-d-2y), with tie = 1 - worse - better.
    tie = 1 - worse - better
    square = 2.0
    linear = 2 * tie * bound + 2 * better * bound - (worse + better) * (1 - bound)
    constant = -better * bound * (1 - bound)
    root = math.sqrt(max(linear * linear - 4 * square * constant, 0.0))
    return (-linear + root) / (2 * square)


def compare_paired_rate(
    pairs: PairCounts,
    criteria: Criteria,
    *,
    prior_discordance: float,
    differences: Arm | None = None,
) -> Comparison:
    """Compare the bad-event rates of mirrored pairs; positive says the candidate is worse.

    prior_discordance: the share of pairs expected to disagree, frozen before the first pair;
    about 2h(1 - h) for a base rate h, less where the same inputs are hard for both.
    differences: candidate minus baseline (-1, 0, 1) over the same pairs, with its clusters.
    """
    effect = differences.design_effect() if differences else 1.0
    clusters = differences.effective_clusters if differences else pairs.n
    sizes = Sizes(pairs.n, pairs.n, clusters, clusters)
    test = PairTest(pairs, prior_discordance, effect)
    difference = pairs.difference
    evidence = gather_evidence(test, criteria.margin)
    state = state_of(difference, evidence, sizes, criteria)
    lower, upper = -1.0, 1.0
    if state is not State.INSUFFICIENT:
        step = math.sqrt(2 * pairs.discordance * effect / pairs.n * (1 - math.log(criteria.alpha)))
        lower, upper = invert(test, difference, step, evidence, criteria)
    needed = test.pairs_until_below(criteria.margin, criteria.alpha, pairs.discordance) * effect
    return Comparison(
        method="paired_rate",
        baseline=(pairs.only_baseline_bad + pairs.both_bad) / pairs.n if pairs.n else 0.0,
        candidate=(pairs.only_candidate_bad + pairs.both_bad) / pairs.n if pairs.n else 0.0,
        difference=difference,
        lower=lower,
        upper=upper,
        evidence=evidence,
        sizes=sizes,
        criteria=criteria,
        state=state,
        traces_needed=still_needed(needed, state, sizes, criteria),
        design_effect=effect,
    )


def compare_paired_mean(
    differences: Arm,
    criteria: Criteria,
    *,
    baseline_mean: float,
    worse: str = "higher",
    is_log: bool = False,
) -> Comparison:
    """Compare means of mirrored pairs from candidate minus baseline of each pair.

    baseline_mean: the baseline's mean over the same pairs, for display. is_log and worse as in
    means.compare_mean.
    """
    difference = harm_sign(worse) * differences.mean
    variance = differences.variance_of_mean()
    clusters = differences.effective_clusters
    return conclude(
        Estimate(
            MeanEffect(difference, variance, variance, baseline_mean),
            Sizes(differences.n, differences.n, clusters, clusters),
            criteria,
            "paired_log_mean" if is_log else "paired_mean",
            worse,
            differences.design_effect(),
        )
    )
