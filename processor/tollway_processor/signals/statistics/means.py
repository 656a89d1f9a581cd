"""Comparison of two means: scores, cost, tokens, latency, raw or on logarithms.

A one-sided half-normal mixture (Robbins, Ann. Math. Stat. 1970) over the plug-in variance of
asymptotic confidence sequences (Waudby-Smith et al., arXiv 2103.06476). It is asymptotic: the
minimum of 50 traces, 100 for HELD, belongs to the method. Rates have their own exact test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .arms import Arm
from .comparison import Comparison, Criteria, Evidence, Sizes, State, state_of, still_needed
from .evidence import NO_EVIDENCE, log_normal_cdf, log_threshold

MINIMUM_TRACES, MINIMUM_TRACES_HELD = 50, 100
VARIANCE_FLOOR = 1e-6
# Simulated: scores that fail 1 % of the time, harmful by exactly the margin, read HELD in 14 % of
# runs without these, 6 % with two and at most 5 % with two and a half.
PSEUDO_TRACES = 2.5
_NEWTON_STEPS = 30
FARTHEST_FACTOR = 1e6


@dataclass(frozen=True, slots=True)
class MeanEffect:
    """An estimated harm with the two variances that its claims need.

    REGRESSED takes the candidate's own variance. HELD and IMPROVED take the larger of both arms
    for the candidate, since a few cheap traces would otherwise prove that it is cheap.
    """

    difference: float
    variance: float
    variance_held: float
    baseline: float
    "Mean of the baseline at the weights that the difference is taken at."


@dataclass(frozen=True, slots=True)
class MeanQuestion:
    """Two means to compare: by compare_mean, or many at once.

    worse: "higher" (cost) or "lower" (groundedness), the direction of harm.
    is_log: the arms hold natural logarithms, margin 0.1 reads "10 % more"; see Comparison.ratio.
    value_range: smallest and largest possible value, for scores; HELD then allows for rare bad
    values that were not seen yet. epochs: the same traces (baseline, candidate) cut where the
    traffic share changed, default one epoch.
    """

    baseline: Arm
    candidate: Arm
    criteria: Criteria
    worse: str = "higher"
    is_log: bool = False
    value_range: tuple[float, float] | None = None
    epochs: Sequence[tuple[Arm, Arm]] = ()

    @property
    def method(self) -> str:
        """As Comparison.method."""
        return "log_mean" if self.is_log else "mean"


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated harm with everything that a comparison is concluded from."""

    effect: MeanEffect
    "The difference as harm: positive is worse."
    sizes: Sizes
    criteria: Criteria
    method: str
    worse: str = "higher"
    design_effect: float = 1.0


def compare_mean(
    baseline: Arm,
    candidate: Arm,
    criteria: Criteria,
    *,
    worse: str = "higher",
    is_log: bool = False,
    value_range: tuple[float, float] | None = None,
    epochs: Sequence[tuple[Arm, Arm]] = (),
) -> Comparison:
    """Compare means; a positive difference says that the candidate is worse.

    Arguments as of `MeanQuestion`. Raises ValueError for another `worse`.
    """
    effect = mean_effect(baseline, candidate, value_range, epochs)
    question = MeanQuestion(baseline, candidate, criteria, worse, is_log)
    return conclude(
        Estimate(
            replace(effect, difference=harm_sign(worse) * effect.difference),
            Sizes.of(baseline, candidate),
            criteria,
            question.method,
            worse,
            max(baseline.design_effect(), candidate.design_effect()),
        )
    )


def harm_sign(worse: str) -> int:
    """Return 1 when higher values are worse and -1 when lower ones are; ValueError otherwise."""
    if worse not in ("higher", "lower"):
        raise ValueError(f'worse must be "higher" or "lower", got {worse!r}')
    return 1 if worse == "higher" else -1


def mean_effect(
    baseline: Arm,
    candidate: Arm,
    value_range: tuple[float, float] | None = None,
    epochs: Sequence[tuple[Arm, Arm]] = (),
) -> MeanEffect:
    """Return candidate minus baseline and its variances, 0 everywhere while an arm is empty.

    Over epochs the differences within each are averaged, weighted n_b n_c / (n_b + n_c).
    """
    if not baseline.n or not candidate.n:
        return MeanEffect(0.0, 0.0, 0.0, baseline.mean)
    shared = [pair for pair in epochs if pair[0].n and pair[1].n]
    if len(shared) > 1:
        return _effect_over_epochs(baseline, candidate, shared, value_range)
    base, own = baseline.variance_of_mean(), candidate.variance_of_mean()
    larger = max(own, base * baseline.n / candidate.n)
    unseen = _unseen_variance(baseline, value_range) + _unseen_variance(candidate, value_range)
    return MeanEffect(
        candidate.mean - baseline.mean, own + base, larger + base + unseen, baseline.mean
    )


def _effect_over_epochs(
    baseline: Arm,
    candidate: Arm,
    epochs: Sequence[tuple[Arm, Arm]],
    value_range: tuple[float, float] | None,
) -> MeanEffect:
    weights = [b.n * c.n / (b.n + c.n) for b, c in epochs]
    total = math.fsum(weights)
    shares = [weight / total for weight in weights]
    difference = math.fsum(w * (c.mean - b.mean) for w, (b, c) in zip(shares, epochs, strict=True))
    # One unit variance an arm, from within epochs, since a short one has too few traces of its own.
    base = _unit_variance([b for b, _ in epochs]) * baseline.design_effect()
    own = _unit_variance([c for _, c in epochs]) * candidate.design_effect()
    spread_b = math.fsum(w * w / b.n for w, (b, _) in zip(shares, epochs, strict=True))
    spread_c = math.fsum(w * w / c.n for w, (_, c) in zip(shares, epochs, strict=True))
    unseen = _unseen_variance(baseline, value_range) + _unseen_variance(candidate, value_range)
    return MeanEffect(
        difference,
        own * spread_c + base * spread_b,
        max(own, base) * spread_c + base * spread_b + unseen,
        math.fsum(w * b.mean for w, (b, _) in zip(shares, epochs, strict=True)),
    )


def _unit_variance(arms: Sequence[Arm]) -> float:
    freedom = sum(max(arm.n - 1, 0) for arm in arms)
    return math.fsum(arm.variance() * max(arm.n - 1, 0) for arm in arms) / max(freedom, 1)


def _unseen_variance(arm: Arm, value_range: tuple[float, float] | None) -> float:
    """Return what a few more traces at the far end of the range would add to V of the mean.

    Without it a score that was 1.0 in each of 100 traces has no variance and reads HELD at once,
    though a share of 3 % failures goes unseen in 100 traces one time in twenty.
    """
    if value_range is None:
        return 0.0
    reach = max(abs(arm.mean - end) for end in value_range)
    return PSEUDO_TRACES * (reach / arm.n) ** 2


def log_mixture(effect: float, variance: float, scale: float) -> float:
    """Return ln E for `effect is at most 0`, mixing over true effects half-normal with `scale`."""
    if variance <= 0:
        return math.copysign(math.inf, effect) if effect else NO_EVIDENCE
    ratio = scale * scale / variance
    shrink = ratio / (1 + ratio)
    z = effect / math.sqrt(variance)
    return (
        math.log(2)
        - 0.5 * math.log1p(ratio)
        + 0.5 * z * z * shrink
        + log_normal_cdf(z * math.sqrt(shrink))
    )


def radius(variance: float, scale: float, alpha: float) -> float:
    """Return the one-sided half width of the confidence sequence: where log_mixture is ln 1/alpha.

    Newton from the closed approximation sqrt(2V(1+V/s^2) ln(1+sqrt(1+s^2/V)/(2 alpha))), which
    is at most 1.1 % above the root while V <= s^2; the function is convex, so it comes down onto
    the root.
    """
    if variance <= 0:
        return 0.0
    ratio = scale * scale / variance
    root = math.sqrt(ratio / (1 + ratio))
    threshold = log_threshold(alpha)
    z = math.sqrt(2 * (1 + 1 / ratio) * math.log1p(math.sqrt(1 + ratio) / (2 * alpha)))
    for _ in range(_NEWTON_STEPS):
        u = z * root
        log_cdf = log_normal_cdf(u)
        value = math.log(2) - 0.5 * math.log1p(ratio) + 0.5 * u * u + log_cdf
        hazard = math.exp(-0.5 * u * u - log_cdf) / math.sqrt(2 * math.pi)
        step = (value - threshold) / (root * (u + hazard))
        z -= step
        if abs(step) < 1e-12 * z:
            break
    return z * math.sqrt(variance)


def conclude(estimate: Estimate) -> Comparison:
    """Return the comparison of an estimated harm that is normal in the limit."""
    effect, sizes, criteria = estimate.effect, estimate.sizes, estimate.criteria
    criteria = with_minimums(criteria)
    margin, alpha, difference = criteria.margin, criteria.alpha, effect.difference
    floor = VARIANCE_FLOOR * margin * margin
    variance, variance_held = max(effect.variance, floor), max(effect.variance_held, floor)
    evidence = _evidence(difference, variance, variance_held, margin)
    state = state_of(difference, evidence, sizes, criteria)
    lower, upper = -math.inf, math.inf
    if state is not State.INSUFFICIENT:
        lower = difference - radius(variance, margin, alpha)
        upper = difference + radius(variance_held, margin, alpha)
    needed = _traces_needed(difference, variance_held, sizes, criteria) if state.is_open else 0.0
    return Comparison(
        method=estimate.method,
        baseline=effect.baseline,
        candidate=effect.baseline + harm_sign(estimate.worse) * difference,
        difference=difference,
        lower=lower,
        upper=upper,
        evidence=evidence,
        sizes=sizes,
        criteria=criteria,
        state=state,
        traces_needed=still_needed(needed, state, sizes, criteria),
        design_effect=estimate.design_effect,
        worse=estimate.worse,
    )


def _evidence(difference: float, variance: float, variance_held: float, margin: float) -> Evidence:
    return Evidence(
        log_mixture(difference, variance, margin),
        log_mixture(margin - difference, variance_held, margin),
        log_mixture(-difference, variance_held, margin),
    )


def with_minimums(criteria: Criteria) -> Criteria:
    """Return the criteria with at least the traces that the plug-in variance needs."""
    few, many = criteria.minimum_traces, criteria.minimum_traces_held
    if few >= MINIMUM_TRACES and many >= MINIMUM_TRACES_HELD:
        return criteria
    return replace(
        criteria,
        minimum_traces=max(criteria.minimum_traces, MINIMUM_TRACES),
        minimum_traces_held=max(criteria.minimum_traces_held, MINIMUM_TRACES_HELD),
    )


def _traces_needed(difference: float, variance: float, sizes: Sizes, criteria: Criteria) -> float:
    """Return the candidate traces until HELD when the true difference is 0, both arms growing."""
    if not sizes.n_candidate or not sizes.n_baseline:
        return math.inf
    few, many = 1.0, 2.0
    while not _holds(difference, variance, many, criteria):
        few, many = many, 2 * many
        if many > FARTHEST_FACTOR:
            return math.inf
    while many - few > 0.005 * many:
        middle = (few + many) / 2
        if _holds(difference, variance, middle, criteria):
            many = middle
        else:
            few = middle
    return (many - 1) * sizes.n_candidate


def _holds(difference: float, variance: float, factor: float, criteria: Criteria) -> bool:
    """Say whether HELD is expected at `factor` times the present traces."""
    reach = radius(variance / factor, criteria.margin, criteria.alpha)
    return difference / factor + reach <= criteria.margin
