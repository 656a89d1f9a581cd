"""Sufficient statistics of one variant, and the variance of its mean when traces come in clusters.

Where the rows come from is the caller's; what is concluded from two arms is in rates and means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Arm:
    """Sums over the traces of one variant on one (route, cohort, metric).

    For a rate, ``total`` is the number of bad traces and ``total_sq`` may stay 0.
    A cluster g is a session (else a user) with n_g traces that sum to S_g; its four sums are
    taken over the same traces. ``clusters`` None says that every trace is its own cluster.
    A ratio of sums (cost per successful trace) is an arm too: n and n_g count the denominator.
    """

    n: float
    total: float
    total_sq: float = 0.0
    clusters: int | None = None
    cluster_total_sq: float = 0.0
    "Sum of S_g squared."
    cluster_cross: float = 0.0
    "Sum of S_g times n_g."
    cluster_size_sq: float = 0.0
    "Sum of n_g squared."

    def __add__(self, other: Arm) -> Arm:
        """Return the arm of both sets of traces, for sets that share no cluster."""
        both_clustered = self.clusters is not None and other.clusters is not None
        return Arm(
            self.n + other.n,
            self.total + other.total,
            self.total_sq + other.total_sq,
            (self.clusters or 0) + (other.clusters or 0) if both_clustered else None,
            self.cluster_total_sq + other.cluster_total_sq,
            self.cluster_cross + other.cluster_cross,
            self.cluster_size_sq + other.cluster_size_sq,
        )

    def narrowed(self, parts: Sequence[Arm]) -> Arm:
        """Return the arm of these parts of its traces alone, with the design effect of all.

        Clusters may reach beyond the parts, which therefore cannot tell what traces share.
        """
        kept = sum(parts, start=Arm(0, 0.0))
        if self.clusters is None or not self.n:
            return replace(kept, clusters=None)
        clusters = max(round(self.clusters * kept.n / self.n), 2)
        freedom = kept.n * (clusters - 1) / clusters
        spread = self.design_effect() * kept.variance() * freedom
        return Arm(kept.n, kept.total, kept.total_sq, clusters, cluster_total_sq=spread)

    @property
    def mean(self) -> float:
        """Mean of the traces; for a rate, the share of bad ones. 0 without traces."""
        return self.total / self.n if self.n else 0.0

    @property
    def effective_clusters(self) -> float:
        """Independent units: the clusters, or the traces when none are known."""
        return self.n if self.clusters is None else self.clusters

    def variance(self) -> float:
        """Return the sample variance of single traces (n - 1 in the divisor)."""
        if self.n <= 1:
            return 0.0
        return max(0.0, (self.total_sq - self.total * self.mean) / (self.n - 1))

    def cluster_variance_of_mean(self) -> float:
        """Return V = G/(G-1) sum over g of (S_g - mean n_g)^2 / n^2, 0 below two clusters.

        Source: the linearised variance of a ratio, Cochran, Sampling Techniques, 6.3 and 9A.
        """
        groups = self.clusters
        if groups is None or groups < 2 or not self.n:
            return 0.0
        residuals = (
            self.cluster_total_sq
            - 2 * self.mean * self.cluster_cross
            + self.mean**2 * self.cluster_size_sq
        )
        return groups / (groups - 1) * max(0.0, residuals) / self.n**2

    def variance_of_mean(self) -> float:
        """Return the larger of the independent and the cluster-robust variance of the mean.

        Taking the larger one keeps a chance negative intra-class correlation from narrowing
        the interval.
        """
        independent = self.variance() / self.n if self.n else 0.0
        return max(independent, self.cluster_variance_of_mean())

    def spread(self) -> tuple[float, float]:
        """Return (variance_of_mean, design_effect) at the cost of one."""
        independent = self.variance() / self.n if self.n else 0.0
        clustered = self.cluster_variance_of_mean()
        effect = max(1.0, clustered / independent) if independent > 0 else 1.0
        return max(independent, clustered), effect

    def design_effect(self) -> float:
        """Return how many traces are worth one independent trace, at least 1, for a mean."""
        return self.spread()[1]

    def rate_design_effect(self) -> float:
        """Return how many traces are worth one independent trace, at least 1, for a rate.

        Source: Rao and Scott, "A simple method for the analysis of clustered binary data",
        Biometrics 1992 (a heuristic here: it is not part of the proof of the safe test).
        """
        independent = self.mean * (1 - self.mean) / self.n if self.n else 0.0
        if independent <= 0:
            return 1.0
        return max(1.0, self.cluster_variance_of_mean() / independent)


def rate_arm(n: float, bad: float) -> Arm:
    """Return the arm of n independent traces of which `bad` were bad."""
    return Arm(n, bad, bad)


def clustered_arm(groups: list[list[float]]) -> Arm:
    """Return the arm of traces given one list of values a cluster."""
    sizes = [len(group) for group in groups]
    sums = [math.fsum(group) for group in groups]
    return Arm(
        n=sum(sizes),
        total=math.fsum(sums),
        total_sq=math.fsum(value * value for group in groups for value in group),
        clusters=len(groups),
        cluster_total_sq=math.fsum(s * s for s in sums),
        cluster_cross=math.fsum(s * n for s, n in zip(sums, sizes, strict=True)),
        cluster_size_sq=math.fsum(n * n for n in sizes),
    )
