"""Tails and quantiles of latency from histograms: shares above frozen thresholds, p50, p95, p99.

The histograms (bins of 2 %) are rollup/latency_bins.sql's; what is concluded is statistics'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tollway_processor.signals.statistics import Arm, quantile_levels

BINS_PER_UNIT = 50  # of the natural logarithm of milliseconds
LEVELS = (0.5, 0.95, 0.99)
TAILS = (0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Numbers of traces by bin, in ascending order of bins."""

    bins: Sequence[int]
    counts: Sequence[float]

    @property
    def n(self) -> float:
        """Traces."""
        return math.fsum(self.counts)

    def above(self, threshold_bin: int) -> float:
        """Return the traces beyond a bin."""
        pairs = zip(self.bins, self.counts, strict=True)
        return math.fsum(count for place, count in pairs if place > threshold_bin)

    def bin_at(self, level: float) -> int:
        """Return the bin that holds a quantile; ValueError without traces."""
        if not self.bins:
            raise ValueError("an empty histogram has no quantile")
        reach = level * self.n
        so_far = 0.0
        for place, count in zip(self.bins, self.counts, strict=True):
            so_far += count
            if so_far >= reach - 1e-9:
                return place
        return self.bins[-1]

    def __add__(self, other: Histogram) -> Histogram:
        """Return the histogram of both sets of traces."""
        if not self.bins:
            return other
        sums: dict[int, float] = {}
        for histogram in (self, other):
            for place, count in zip(histogram.bins, histogram.counts, strict=True):
                sums[place] = sums.get(place, 0.0) + count
        places = sorted(sums)
        return Histogram(places, [sums[place] for place in places])


EMPTY = Histogram((), ())


def log_ms(place: float) -> float:
    """Return the natural logarithm of a bin's milliseconds."""
    return place / BINS_PER_UNIT


def tail_arm(histogram: Histogram, threshold_bin: int, logs: Arm) -> Arm:
    """Return the arm of traces beyond a threshold, clustered as the logarithms are.

    Sums within sessions are not kept for every threshold; the design effect of the mean of logs
    stands in, which is at least that of a tail in practice: what sessions share moves their mean
    first. `logs` are the same traces.
    """
    n, bad = histogram.n, histogram.above(threshold_bin)
    arm = Arm(n, bad, bad)
    if logs.clusters is None:
        return arm
    clusters = max(logs.clusters, 2)
    rate = bad / n if n else 0.0
    spread = logs.design_effect() * rate * (1 - rate) * n * (clusters - 1) / clusters
    return replace(arm, clusters=logs.clusters, cluster_total_sq=spread)


def quantile_interval(
    histogram: Histogram, level: float, effect: float, alpha: float
) -> tuple[float, float, float]:
    """Return (estimate, lower, upper) of a quantile, natural logarithms of milliseconds.

    effect: traces that are worth one independent trace. Each bound holds at all looks at once; it
    is infinite where so few traces give none.
    """
    low, high = quantile_levels(histogram.n / effect, level, alpha)
    half = 0.5
    lower = -math.inf if low <= 0 else log_ms(histogram.bin_at(low) - half)
    upper = math.inf if high >= 1 else log_ms(histogram.bin_at(high) + half)
    return log_ms(histogram.bin_at(level)), lower, upper
