"""One number for a route out of its cohorts, with weights declared beforehand; Simpson cases.

Counts of cohorts are never pooled: where the traffic share and the mix of cohorts drift
together, pooling blames the candidate for the mix. The test on the combined difference is that
of means.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .arms import Arm
from .comparison import Comparison, Criteria, Sizes
from .means import Estimate, MeanEffect, conclude, harm_sign, mean_effect

RATE_RANGE = (0.0, 1.0)
# A cohort without traces in one arm may be left out while its declared weight is at most this;
# beyond, the combined number would speak for traffic that it has not seen.
MOST_LEFT_OUT = 0.05
# Below this a cohort's own variance is not trusted if the arm's is larger.
TRUSTED_TRACES = 50


@dataclass(frozen=True, slots=True)
class Stratum:
    """One cohort of both arms and its declared share of the route's traffic."""

    cohort: str
    weight: float
    baseline: Arm
    candidate: Arm
    epochs: tuple[tuple[Arm, Arm], ...] = ()
    "The same traces (baseline, candidate) cut where the traffic share changed; one epoch if empty."

    @property
    def has_both(self) -> bool:
        """Whether both variants served at least two traces of the cohort."""
        return self.baseline.n >= 2 and self.candidate.n >= 2

    @property
    def difference(self) -> float:
        """Candidate minus baseline mean."""
        return self.candidate.mean - self.baseline.mean


@dataclass(frozen=True, slots=True)
class Reversal:
    """A Simpson case: pooled and re-weighted differences point in opposite directions."""

    pooled: float
    "Harm of all traces thrown together."
    stratified: float
    "Harm at one common mix of cohorts: the honest one."
    cohorts: tuple[str, ...]
    "Cohorts that go with the honest number, the largest harm or gain first."


@dataclass(frozen=True, slots=True)
class StrataQuestion:
    """Two variants to compare over cohorts: by compare_strata, or many at once.

    Weights need not sum to 1. is_rate: the arms count bad traces; their variance then allows for
    bad traces not seen yet. Cohorts without two traces in each arm are left out if their weights
    are at most 5 % of all; with more, the comparison is INSUFFICIENT. Otherwise as
    means.MeanQuestion.
    """

    strata: Sequence[Stratum]
    criteria: Criteria
    worse: str = "higher"
    is_rate: bool = False
    is_log: bool = False
    value_range: tuple[float, float] | None = None

    @property
    def method(self) -> str:
        """As Comparison.method."""
        kind = "rate" if self.is_rate else "log_mean" if self.is_log else "mean"
        return f"stratified_{kind}"

    @property
    def limits(self) -> tuple[float, float] | None:
        """Smallest and largest possible value, None where they are not known."""
        return RATE_RANGE if self.is_rate else self.value_range


def compare_strata(
    strata: Sequence[Stratum],
    criteria: Criteria,
    *,
    worse: str = "higher",
    is_rate: bool = False,
    is_log: bool = False,
    value_range: tuple[float, float] | None = None,
) -> Comparison:
    """Compare two variants over cohorts at the declared weights.

    Arguments as of `StrataQuestion`.
    """
    return conclude(
        estimate_over(StrataQuestion(strata, criteria, worse, is_rate, is_log, value_range))
    )


def estimate_over(question: StrataQuestion) -> Estimate:
    """Return what a comparison over cohorts is concluded from."""
    strata = question.strata
    usable = [stratum for stratum in strata if stratum.has_both and stratum.weight > 0]
    if question.is_rate:
        usable = [_with_squares(stratum) for stratum in usable]
    declared = math.fsum(stratum.weight for stratum in strata)
    covered = math.fsum(stratum.weight for stratum in usable)
    effect = _weighted_effect(usable, covered, question.limits)
    is_covered = declared > 0 and covered >= (1 - MOST_LEFT_OUT) * declared
    return Estimate(
        replace(effect, difference=harm_sign(question.worse) * effect.difference),
        _sizes(usable if is_covered else []),
        question.criteria,
        question.method,
        question.worse,
    )


def _weighted_effect(
    strata: Sequence[Stratum], total: float, limits: tuple[float, float] | None
) -> MeanEffect:
    """Return d = sum of w_k d_k and V = sum of w_k^2 V_k, with weights divided by their total."""
    overall = None
    if any(min(s.baseline.n, s.candidate.n) < TRUSTED_TRACES for s in strata):
        overall = (_pooled(s.baseline for s in strata), _pooled(s.candidate for s in strata))
    difference = variance = variance_held = base = 0.0
    for stratum in strata:
        share = stratum.weight / total
        effect = _stratum_effect(stratum, overall, limits)
        difference += share * effect.difference
        variance += share**2 * effect.variance
        variance_held += share**2 * effect.variance_held
        base += share * effect.baseline
    return MeanEffect(difference, variance, variance_held, base)


def find_reversal(
    strata: Sequence[Stratum], *, floor: float, worse: str = "higher"
) -> Reversal | None:
    """Return the Simpson case among the strata, None where pooling does not mislead.

    floor: pooled and stratified harm must lie at least this far apart.
    """
    sign = harm_sign(worse)
    usable = [stratum for stratum in strata if stratum.has_both and stratum.weight > 0]
    if not usable:
        return None
    n_b = total_b = n_c = total_c = covered = weighted = 0.0
    for stratum in usable:
        baseline, candidate, weight = stratum.baseline, stratum.candidate, stratum.weight
        n_b, total_b = n_b + baseline.n, total_b + baseline.total
        n_c, total_c = n_c + candidate.n, total_c + candidate.total
        covered += weight
        weighted += weight * (candidate.total / candidate.n - baseline.total / baseline.n)
    pooled, stratified = sign * (total_c / n_c - total_b / n_b), sign * weighted / covered
    if pooled * stratified >= 0 or abs(pooled - stratified) <= floor:
        return None
    same_side = [s for s in usable if sign * s.difference * stratified > 0]
    same_side.sort(key=lambda s: abs(s.difference), reverse=True)
    return Reversal(pooled, stratified, tuple(s.cohort for s in same_side))


def _with_squares(stratum: Stratum) -> Stratum:
    """Return the stratum with the sum of squares of its 0/1 values, which rates may leave out."""
    baseline, candidate = stratum.baseline, stratum.candidate
    if baseline.total_sq == baseline.total and candidate.total_sq == candidate.total:
        return stratum
    return replace(
        stratum,
        baseline=replace(baseline, total_sq=baseline.total),
        candidate=replace(candidate, total_sq=candidate.total),
        epochs=tuple(
            (replace(b, total_sq=b.total), replace(c, total_sq=c.total)) for b, c in stratum.epochs
        ),
    )


def _pooled(arms: Iterable[Arm]) -> Arm:
    return sum(arms, start=Arm(0, 0.0, clusters=0))


def _stratum_effect(
    stratum: Stratum, overall: tuple[Arm, Arm] | None, limits: tuple[float, float] | None
) -> MeanEffect:
    """Return the effect within one cohort, small cohorts borrowing the arm's larger variance."""
    effect = mean_effect(stratum.baseline, stratum.candidate, limits, stratum.epochs)
    if overall is None:
        return effect
    borrowed = 0.0
    for arm, whole in zip((stratum.baseline, stratum.candidate), overall, strict=True):
        if arm.n < TRUSTED_TRACES:
            unit = whole.variance_of_mean() * whole.n
            borrowed += max(0.0, unit / arm.n - arm.variance_of_mean())
    return replace(
        effect, variance=effect.variance + borrowed, variance_held=effect.variance_held + borrowed
    )


def _sizes(strata: Sequence[Stratum]) -> Sizes:
    return Sizes(
        sum(s.baseline.n for s in strata),
        sum(s.candidate.n for s in strata),
        sum(s.baseline.effective_clusters for s in strata),
        sum(s.candidate.effective_clusters for s in strata),
    )
