"""What a comparison of two variants is asked (Criteria), what it answers (Comparison), its State.

The evidence comes from rates, means, paired and strata; what a set of comparisons means for a
release belongs to verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from .arms import Arm
from .evidence import bounded_exp, log_threshold


class State(StrEnum):
    """What is known of one metric of a candidate, in the order in which it is decided."""

    INSUFFICIENT = "INSUFFICIENT"
    "Under the minimum of traces or clusters: nothing is concluded."
    REGRESSED = "REGRESSED"
    "Credibly worse, by more than the floor."
    IMPROVED = "IMPROVED"
    "Credibly better."
    HELD = "HELD"
    "Credibly not worse by the margin or more."
    INCONCLUSIVE = "INCONCLUSIVE"
    "None of these yet; `traces_needed` says how many more traces to expect."

    @property
    def is_open(self) -> bool:
        """Whether more traces may still decide it."""
        return self in (State.INSUFFICIENT, State.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Criteria:
    """What counts as worse, and how much data it takes to say so.

    margin and floor are in the metric's unit (a share, a score, or a natural logarithm).
    """

    margin: float
    "The largest harm that is still acceptable; HELD rules out harm of this size or more."
    floor: float
    "REGRESSED needs an observed harm above this, so that a large n raises no alarm over trifles."
    minimum_traces: int = 20
    "Traces of each variant before anything is concluded."
    minimum_traces_held: int = 50
    "Traces of each variant before HELD or IMPROVED."
    minimum_clusters: int = 20
    "Sessions of each variant before anything: their variance is not estimable from fewer."
    minimum_clusters_held: int = 50
    "Sessions of each variant before HELD or IMPROVED."
    alpha: float = 0.05
    "Probability of ever being wrong, for each of REGRESSED, HELD and IMPROVED."

    def __post_init__(self) -> None:
        """Raise ValueError for a margin, floor or alpha that no comparison can use."""
        if not self.margin > 0:
            raise ValueError(f"margin must be above 0, got {self.margin}")
        if not self.floor >= 0:
            raise ValueError(f"floor must not be negative, got {self.floor}")
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, got {self.alpha}")

    def times(self, factor: float) -> Criteria:
        """Return the criteria with margin and floor in another unit."""
        return Criteria(
            self.margin * factor,
            self.floor * factor,
            self.minimum_traces,
            self.minimum_traces_held,
            self.minimum_clusters,
            self.minimum_clusters_held,
            self.alpha,
        )


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much data stands behind a comparison."""

    n_baseline: float
    n_candidate: float
    clusters_baseline: float
    clusters_candidate: float

    @classmethod
    def of(cls, baseline: Arm, candidate: Arm) -> Sizes:
        """Return the sizes of two arms."""
        clusters = baseline.effective_clusters, candidate.effective_clusters
        return cls(baseline.n, candidate.n, *clusters)

    def missing_traces(self, criteria: Criteria) -> int:
        """Return the candidate traces still to come before anything may be concluded."""
        return self._missing(criteria.minimum_traces, criteria.minimum_clusters)

    def missing_traces_held(self, criteria: Criteria) -> int:
        """Return the candidate traces still to come before HELD may be concluded."""
        return self._missing(criteria.minimum_traces_held, criteria.minimum_clusters_held)

    def _missing(self, traces: int, clusters: int) -> int:
        """Return candidate traces until both arms reach both minimums, at the present split."""
        few, base = self.n_candidate, self.n_baseline
        groups, base_groups = self.clusters_candidate, self.clusters_baseline
        if min(few, base) >= traces and min(groups, base_groups) >= clusters:
            return 0
        needs = ((few, traces), (base, traces), (groups, clusters), (base_groups, clusters))
        fractions = [have / need for have, need in needs if need > 0]
        slowest = min(fractions, default=1.0)
        if slowest >= 1:
            return 0
        if slowest <= 0 or self.n_candidate <= 0:
            return traces
        return max(1, math.ceil(self.n_candidate * (1 / slowest - 1)))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Natural logarithms of the e-values for the three claims; 1/alpha is the bar for each."""

    log_e_regressed: float
    log_e_held: float
    log_e_improved: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of one (route, cohort), candidate against baseline.

    ``difference``, ``lower`` and ``upper`` are harm: positive is worse, whichever way the metric
    points. The interval holds at every look at once, each side at the criteria's alpha, and
    agrees with the evidence: lower >= 0 exactly when E_regressed reaches 1/alpha, upper <= margin
    exactly when E_held does, upper <= 0 exactly when E_improved does. While the state is
    INSUFFICIENT it is not computed: [-1, 1] for rates, unbounded for means.

    The state is computed from the present sums alone. Evidence that once reached 1/alpha stays
    valid: a caller that shows states over time latches the largest e-values it has seen.
    """

    method: str
    "rate, mean or log_mean, with a prefix paired_ or stratified_."
    baseline: float
    "Rate or mean of the baseline, in the metric's own direction (a logarithm for log_mean)."
    candidate: float
    difference: float
    lower: float
    upper: float
    evidence: Evidence
    sizes: Sizes
    criteria: Criteria
    state: State
    traces_needed: int | None
    "More candidate traces to expect until HELD if nothing is wrong; None where none would do."
    design_effect: float = 1.0
    "Traces that are worth one independent trace."
    worse: str = "higher"
    "The direction in which the metric gets worse."

    @property
    def is_rate(self) -> bool:
        """Whether values are shares of bad traces."""
        return self.method.endswith("rate")

    @property
    def is_log(self) -> bool:
        """Whether values are natural logarithms."""
        return self.method.endswith("log_mean")

    @property
    def e_regressed(self) -> float:
        """The e-value against `not worse`, capped at the largest float."""
        return bounded_exp(self.evidence.log_e_regressed)

    @property
    def e_held(self) -> float:
        """The e-value against `worse by the margin or more`, capped at the largest float."""
        return bounded_exp(self.evidence.log_e_held)

    @property
    def e_improved(self) -> float:
        """The e-value against `not better`, capped at the largest float."""
        return bounded_exp(self.evidence.log_e_improved)

    @property
    def ratio(self) -> tuple[float, float, float]:
        """Candidate over baseline (estimate, lower, upper) of a metric compared on logarithms."""
        if self.worse == "higher":
            bounds = (self.difference, self.lower, self.upper)
        else:
            bounds = (-self.difference, -self.upper, -self.lower)
        estimate, lower, upper = (bounded_exp(bound) for bound in bounds)
        return estimate, lower, upper


def state_of(difference: float, evidence: Evidence, sizes: Sizes, criteria: Criteria) -> State:
    """Return the state of a signal; a harm above the floor outranks having held the margin."""
    threshold = log_threshold(criteria.alpha)
    if sizes.missing_traces(criteria):
        return State.INSUFFICIENT
    if evidence.log_e_regressed >= threshold and difference > criteria.floor:
        return State.REGRESSED
    if sizes.missing_traces_held(criteria):
        return State.INCONCLUSIVE
    if evidence.log_e_improved >= threshold:
        return State.IMPROVED
    if evidence.log_e_held >= threshold:
        return State.HELD
    return State.INCONCLUSIVE


def still_needed(traces: float, state: State, sizes: Sizes, criteria: Criteria) -> int | None:
    """Return `traces`, rounded up and not below the minimum; 0 once decided, None for infinity."""
    if not state.is_open:
        return 0
    if not math.isfinite(traces):
        return None
    return max(sizes.missing_traces_held(criteria), math.ceil(traces))
