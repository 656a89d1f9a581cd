"""Arms of many comparisons by arrays: the same numbers as arms.Arm gives, an entry each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arms import Arm

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ArmColumns:
    """One entry an arm; clusters are 0 where each trace is its own."""

    n: Array
    total: Array
    total_sq: Array
    clusters: Array
    effective_clusters: Array
    cluster_total_sq: Array
    cluster_cross: Array
    cluster_size_sq: Array

    @classmethod
    def of(cls, arms: Sequence[Arm]) -> ArmColumns:
        """Return the columns of some arms."""
        return cls(
            *(
                np.array(column, dtype=np.float64)
                for column in (
                    [arm.n for arm in arms],
                    [arm.total for arm in arms],
                    [arm.total_sq for arm in arms],
                    [arm.clusters or 0 for arm in arms],
                    [arm.n if arm.clusters is None else arm.clusters for arm in arms],
                    [arm.cluster_total_sq for arm in arms],
                    [arm.cluster_cross for arm in arms],
                    [arm.cluster_size_sq for arm in arms],
                )
            )
        )

    @property
    def mean(self) -> Array:
        """As Arm.mean."""
        return np.asarray(self.total / np.maximum(self.n, 1e-300))

    def independent_variance_of_mean(self) -> Array:
        """As Arm.variance, divided by n."""
        squares = np.maximum(self.total_sq - self.total * self.mean, 0.0)
        return np.asarray(
            np.where(self.n > 1, squares / np.maximum((self.n - 1) * self.n, 1e-300), 0.0)
        )

    def cluster_variance_of_mean(self) -> Array:
        """As Arm.cluster_variance_of_mean."""
        mean = self.mean
        residuals = self.cluster_total_sq - 2 * mean * self.cluster_cross
        residuals = np.maximum(residuals + mean * mean * self.cluster_size_sq, 0.0)
        groups = np.maximum(self.clusters, 2)
        variance = groups / (groups - 1) * residuals / np.maximum(self.n * self.n, 1e-300)
        return np.asarray(np.where((self.clusters >= 2) & (self.n > 0), variance, 0.0))

    def spread(self) -> tuple[Array, Array]:
        """As Arm.spread: (variance_of_mean, design_effect)."""
        independent, clustered = (
            self.independent_variance_of_mean(),
            self.cluster_variance_of_mean(),
        )
        return np.maximum(independent, clustered), _effect(clustered, independent)

    def rate_design_effect(self) -> Array:
        """As Arm.rate_design_effect."""
        mean = self.mean
        independent = mean * (1 - mean) / np.maximum(self.n, 1e-300)
        return _effect(self.cluster_variance_of_mean(), independent)

    def as_rates(self, is_rate: NDArray[np.bool_]) -> ArmColumns:
        """Return the arms with the sums of squares of 0/1 values where they count bad traces."""
        return replace(self, total_sq=np.where(is_rate, self.total, self.total_sq))

    def pooled(self, group: NDArray[np.intp], groups: int) -> ArmColumns:
        """Return the arm of each group's traces together, for arms that share no cluster."""
        clusters = summed(self.clusters, group, groups)
        clusters[summed(self.clusters != self.effective_clusters, group, groups) > 0] = 0
        names = ("n", "total", "total_sq", "cluster_total_sq", "cluster_cross", "cluster_size_sq")
        sums = {name: summed(getattr(self, name), group, groups) for name in names}
        return ArmColumns(
            **sums, clusters=clusters, effective_clusters=np.where(clusters, clusters, sums["n"])
        )


def _effect(clustered: Array, independent: Array) -> Array:
    ratio = clustered / np.where(independent > 0, independent, 1.0)
    return np.asarray(np.where(independent > 0, np.maximum(ratio, 1.0), 1.0))


def summed(column: NDArray[Any], group: NDArray[np.intp], groups: int) -> Array:
    """Return the sum of each group's entries."""
    return np.asarray(np.bincount(group, column, groups), dtype=np.float64)
