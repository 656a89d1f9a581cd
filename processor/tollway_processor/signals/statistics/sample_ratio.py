"""Sample-ratio mismatch: does the traffic split differ from the declared one?

A mismatch says that traces are lost or routed by something else than chance, so that no
comparison of the arms is to be trusted. What a verdict makes of it belongs to verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .evidence import bounded_exp, log_average, log_threshold

# One false flag in a thousand comparisons watched for ever: it blocks a release, and real causes
# (lost exports, a sticky cache) give overwhelming evidence within hours.
_ALPHA = 0.001
_CONCENTRATIONS = (20.0, 200.0, 2000.0)


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """The declared and the realised share of the candidate, and the evidence that they differ."""

    declared: float
    realised: float
    units: float
    log_e_mismatch: float
    is_mismatch: bool

    @property
    def e_mismatch(self) -> float:
        """The e-value against `the split is as declared`, capped at the largest float."""
        return bounded_exp(self.log_e_mismatch)


def check_sample_ratio(
    units_baseline: float, units_candidate: float, declared_share: float, alpha: float = _ALPHA
) -> SampleRatio:
    """Test the declared share of the candidate; always valid, exact for independent units.

    units: whatever was assigned at random: sessions (or users) where they stick to a variant,
    else traces. Traces of sticky sessions would raise false flags. Raises ValueError unless
    0 < declared_share < 1.
    Source: Lindon and Malek, "Anytime-valid inference for multinomial count data", arXiv
    2011.03567, averaged over three concentrations of the prior.
    """
    if not 0 < declared_share < 1:
        raise ValueError(f"declared_share must lie between 0 and 1, got {declared_share}")
    units = units_baseline + units_candidate
    terms = [
        _log_beta_binomial(units_baseline, units_candidate, declared_share, concentration)
        for concentration in _CONCENTRATIONS
    ]
    log_e = log_average(terms, [1 / len(terms)] * len(terms))
    return SampleRatio(
        declared=declared_share,
        realised=units_candidate / units if units else declared_share,
        units=units,
        log_e_mismatch=log_e,
        is_mismatch=log_e >= log_threshold(alpha),
    )


def _log_beta_binomial(n_b: float, n_c: float, share: float, concentration: float) -> float:
    """Return ln of the beta-binomial over the binomial likelihood at the declared share."""
    a, b = concentration * share, concentration * (1 - share)
    mixture = _log_beta(a + n_c, b + n_b) - _log_beta(a, b)
    return mixture - n_c * math.log(share) - n_b * math.log(1 - share)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
