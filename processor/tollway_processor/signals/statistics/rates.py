"""Comparison of two bad-event rates: evidence, always-valid interval, state, traces needed.

Also right for shares above a frozen quantile (latency above the baseline's p95), whose prior
rate is known by construction. The test itself is in proportions, the search for the interval's
ends in bounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .arms import Arm
from .bounds import gather_evidence, invert
from .comparison import Comparison, Criteria, Sizes, State, state_of, still_needed
from .evidence import log_threshold
from .proportions import Bet, Counts, base_rates, log_evidence, log_terms, place_bets

# Distance of the alternatives from the bound in margins, with weights. The near ones keep the
# interval shrinking at large n; the far ones find a broken cohort within tens of traces.
WORSE_SHIFTS = (
    (0.125, 0.01),
    (0.25, 0.03),
    (0.5, 0.22),
    (1.0, 0.34),
    (2.0, 0.23),
    (4.0, 0.15),
    (8.0, 0.02),
)
BETTER_SHIFTS = (
    (0.125, 0.01),
    (0.25, 0.03),
    (0.6, 0.2),
    (1.0, 0.58),
    (1.6, 0.1),
    (3.0, 0.06),
    (8.0, 0.02),
)
# Bets this far below the best one are not followed while the interval is searched.
_LEADING_NATS = 5.0


# Rates that a prior is rounded to: half a step of logit off costs 5 % of the evidence, and many
# comparisons that share a prior are answered at once.
_PRIOR_RATES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
_FEWEST_OF_HISTORY = 200


def prior_from(history: Arm, default: float) -> float:
    """Return the prior rate that the baseline's traces from before the comparison tell.

    The default where they are few. Simulated at a tenth of the traffic: of a rate of 30 %, HELD
    takes 1,700 candidate traces with its own prior and 4,100 with one of 5 %; 0.2 % to 1.2 % is
    found in 280 and 720.
    """
    if history.n < _FEWEST_OF_HISTORY:
        return default
    told = _logit((history.total + 0.5) / (history.n + 1))
    return min(_PRIOR_RATES, key=lambda rate: abs(_logit(rate) - told))


def _logit(rate: float) -> float:
    return math.log(rate / (1 - rate))


@dataclass(frozen=True, slots=True)
class RateQuestion:
    """Everything that a comparison of rates is concluded from: by compare_rate, or many at once."""

    baseline: Arm
    candidate: Arm
    criteria: Criteria
    prior_rate: float
    epochs: Sequence[Counts] = ()


@dataclass(frozen=True, slots=True)
class RateTest:
    """The e-values of one comparison of rates for any bound on the difference."""

    epochs: Sequence[Counts]
    above: Sequence[Bet]
    "Bets on a difference above the bound."
    below: Sequence[Bet]
    "Bets on a difference below the bound."

    def log_e_above(self, bound: float) -> float:
        """Return ln E against `the difference is at most bound`."""
        return log_evidence(self.epochs, self.above, bound)

    def log_e_below(self, bound: float) -> float:
        """Return ln E against `the difference is at least bound`."""
        return log_evidence(self.epochs, self.below, bound)

    def narrowed(self, estimate: float, step: float) -> RateTest:
        """Return the test with the bets that count at estimate +- step: faster, never surer."""
        return replace(
            self,
            above=_leading(self.above, log_terms(self.epochs, self.above, estimate - step)),
            below=_leading(self.below, log_terms(self.epochs, self.below, estimate + step)),
        )

    def traces_until_below(self, bound: float, alpha: float, per_trace: Counts) -> float:
        """Return the candidate traces until E_below reaches 1/alpha, inf if it never would.

        per_trace: the counts that one more candidate trace brings with it. The best single bet
        is followed, so the mixture usually needs 0.4 to 1.1 of the answer.
        """
        threshold = log_threshold(alpha)
        reached = log_terms(self.epochs, self.below, bound)
        ahead = log_terms([per_trace], self.below, bound)
        needed = [
            (threshold - now) / (then - bet.log_weight)
            for bet, now, then in zip(self.below, reached, ahead, strict=True)
            if then > bet.log_weight
        ]
        return max(0.0, min(needed, default=math.inf))


def rate_test(epochs: Sequence[Counts], prior_rate: float, margin: float) -> RateTest:
    """Return the test with the bets that this prior rate and margin call for."""
    bases = base_rates(prior_rate, epochs)
    return RateTest(
        epochs,
        place_bets(bases, [(shift * margin, weight) for shift, weight in WORSE_SHIFTS]),
        place_bets(bases, [(-shift * margin, weight) for shift, weight in BETTER_SHIFTS]),
    )


def _leading(bets: Sequence[Bet], terms: Sequence[float]) -> list[Bet]:
    """Return the bets within some nats of the best."""
    least = max(terms) - _LEADING_NATS
    return [bet for bet, term in zip(bets, terms, strict=True) if term >= least]


def compare_rate(
    baseline: Arm,
    candidate: Arm,
    criteria: Criteria,
    *,
    prior_rate: float,
    epochs: Sequence[Counts] = (),
) -> Comparison:
    """Compare bad-event rates; a positive difference says that the candidate is worse.

    prior_rate: the baseline's rate from before the comparison (0.05 for a share above a p95).
    epochs: the same traces cut where the traffic share changed, default one epoch.
    """
    effect = max(baseline.rate_design_effect(), candidate.rate_design_effect())
    whole = Counts(baseline.n, baseline.total, candidate.n, candidate.total)
    counts = [epoch.divided(effect) for epoch in (epochs or (whole,))]
    test = rate_test(counts, prior_rate, criteria.margin)
    rates = concurrent_rates(counts)
    difference = rates[1] - rates[0]
    evidence = gather_evidence(test, criteria.margin)
    sizes = Sizes.of(baseline, candidate)
    state = state_of(difference, evidence, sizes, criteria)
    lower, upper = -1.0, 1.0
    if state is not State.INSUFFICIENT:
        step = _half_width(whole.divided(effect), criteria.alpha)
        lower, upper = invert(test.narrowed(difference, step), difference, step, evidence, criteria)
    needed = _traces_needed(test, whole, effect, criteria) if state.is_open else 0.0
    return Comparison(
        method="rate",
        baseline=rates[0],
        candidate=rates[1],
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


def concurrent_rates(epochs: Sequence[Counts]) -> tuple[float, float]:
    """Return (baseline, candidate) rates, compared within epochs only; (0, 0) without both arms.

    Source of the weights n_b n_c / (n_b + n_c): Mantel-Haenszel risk difference, Greenland and
    Robins, Biometrics 1985. One epoch gives the plain rates.
    """
    weights = baseline = candidate = 0.0
    for epoch in epochs:
        if epoch.n_baseline and epoch.n_candidate:
            weight = epoch.share * epoch.n_baseline
            weights += weight
            baseline += weight * epoch.bad_baseline / epoch.n_baseline
            candidate += weight * epoch.bad_candidate / epoch.n_candidate
    return (baseline / weights, candidate / weights) if weights else (0.0, 0.0)


def _half_width(counts: Counts, alpha: float) -> float:
    """Return a normal guess at half of the interval, to start the search from."""
    total = counts.n_baseline + counts.n_candidate
    rate = (counts.bad_baseline + counts.bad_candidate + 1) / (total + 2)
    variance = rate * (1 - rate) * (1 / counts.n_baseline + 1 / counts.n_candidate)
    return min(1.0, math.sqrt(2 * variance * (log_threshold(alpha) + 1)))


def _traces_needed(test: RateTest, whole: Counts, effect: float, criteria: Criteria) -> float:
    """Return the candidate traces until HELD when both arms truly share one rate."""
    if not whole.n_baseline or not whole.n_candidate:
        return math.inf
    total = whole.n_baseline + whole.n_candidate
    rate = (whole.bad_baseline + whole.bad_candidate + 0.5) / (total + 1)
    others = whole.n_baseline / whole.n_candidate
    per_trace = Counts(others, others * rate, 1.0, rate)
    return effect * test.traces_until_below(criteria.margin, criteria.alpha, per_trace)
