"""Always-valid comparison of two variants from sufficient statistics; no store, no I/O.

An `Arm` holds the sums of one variant, `compare_rate` and its siblings turn two arms into a
`Comparison` with interval and state, and `decide` turns the `Signal`s of a candidate into a
`Verdict`. Evidence is always-valid: it may be looked at after each trace, and acted on the first
time that it reaches its threshold.

A state needs no history: it follows from the present sums. A caller that stores states over time
may latch: the largest e-value seen so far is as valid as the present one (Ville's inequality), so
REGRESSED or HELD once reached need not be taken back when the sums drift towards the threshold.
What is exact and what is approximate: the test of proportions is exact for independent traces in
closed epochs; the realised split of an open epoch, counts divided by a design effect, and means
are approximations, checked by simulation in `make bench-signals`.
"""

from __future__ import annotations

from .arms import Arm, clustered_arm, rate_arm
from .batch import Question, compare_all
from .comparison import Comparison, Criteria, Evidence, Sizes, State
from .defaults import DEFAULTS, Method, MetricDefault, scaled
from .means import MeanQuestion, compare_mean
from .paired import PairCounts, compare_paired_mean, compare_paired_rate
from .proportions import Counts
from .quantiles import quantile_levels
from .rates import RateQuestion, compare_rate, prior_from
from .sample_ratio import SampleRatio, check_sample_ratio
from .signal import Nature, Role, Signal, describe, describe_values, format_harm, shown
from .strata import Reversal, StrataQuestion, Stratum, compare_strata, find_reversal
from .verdict import (
    CheaperButWorse,
    Decision,
    Verdict,
    decide,
    default_weights,
    find_cheaper_but_worse,
)

__all__ = [
    "DEFAULTS",
    "Arm",
    "CheaperButWorse",
    "Comparison",
    "Counts",
    "Criteria",
    "Decision",
    "Evidence",
    "MeanQuestion",
    "Method",
    "MetricDefault",
    "Nature",
    "PairCounts",
    "Question",
    "RateQuestion",
    "Reversal",
    "Role",
    "SampleRatio",
    "Signal",
    "Sizes",
    "State",
    "StrataQuestion",
    "Stratum",
    "Verdict",
    "check_sample_ratio",
    "clustered_arm",
    "compare_all",
    "compare_mean",
    "compare_paired_mean",
    "compare_paired_rate",
    "compare_rate",
    "compare_strata",
    "decide",
    "default_weights",
    "describe",
    "describe_values",
    "find_cheaper_but_worse",
    "find_reversal",
    "format_harm",
    "prior_from",
    "quantile_levels",
    "rate_arm",
    "scaled",
    "shown",
]
