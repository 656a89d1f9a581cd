"""One route's baseline and candidate by cohort and metric, as evaluate.py compares them.

Completes what was read: outcomes that did not happen, good events turned into missing ones, tails
beyond the baseline's quantiles, and the built-in cohort of the rare ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from tollway_processor.signals.arms import Key, Pairs, RouteArms, labelled
from tollway_processor.signals.latency import EMPTY, TAILS, Histogram, tail_arm
from tollway_processor.signals.metrics import BASE, Metric, inverted
from tollway_processor.signals.statistics import Arm, Counts, rate_arm

BUILT_IN = "builtin:"
RARE = "builtin:rare"
WHOLE_ROUTE = "*"
# Dimensions whose sides serve at the same time; the sides of others follow each other.
SIDE_BY_SIDE = ("variant", "model")
_FEWEST_BESIDE = 200  # traces of each side: below, next to nothing can be concluded from them
_FEWEST_FOR_A_TAIL = 200  # baseline traces: ten beyond its p95
NOTHING = Arm(0, 0.0, clusters=0)
_TIMED = {"duration": "log_duration_ms", "ttft": "log_ttft_ms"}
Epochs = tuple[tuple[Arm, Arm], ...]


class Threshold(NamedTuple):
    """A quantile of the baseline's latency that is to be frozen; see latency_thresholds."""

    cohort: str
    baseline: str
    metric: str
    bin: int
    traces: int


@dataclass
class Sides:
    """What is known of a baseline and a candidate on one route."""

    route: RouteArms
    baseline: str
    candidate: str
    rare_share: float = 0.05
    dimension: str = "variant"
    to_freeze: list[Threshold] = field(default_factory=list)
    _by_cohort: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the cohorts that either side has, and the rare ones among the labelled."""
        both = (self.baseline, self.candidate)
        told = sorted({c for c, side, name in self.route.arms if side in both and name == BASE})
        self._by_cohort = {cohort: [cohort] for cohort in told}
        rare = self._rare([cohort for cohort in told if not cohort.startswith(BUILT_IN)])
        if len(rare) > 1:
            self._by_cohort[RARE] = rare

    def _rare(self, labelled: list[str]) -> list[str]:
        sizes = {c: self.arm(c, self.baseline, BASE).n for c in labelled}
        whole = sum(sizes.values())
        return [c for c in labelled if 0 < sizes[c] < self.rare_share * whole]

    @property
    def baseline_label(self) -> str:
        """The baseline as tables show it."""
        return labelled(self.dimension, self.baseline)

    @cached_property
    def labelled(self) -> list[str]:
        """The cohorts that the application told; '' is all that it told none of."""
        return [cohort for cohort in self._by_cohort if not cohort.startswith(BUILT_IN)]

    @cached_property
    def built_in(self) -> list[str]:
        """The cohorts that need no labelling and that some trace is in."""
        return [cohort for cohort in self._by_cohort if cohort.startswith(BUILT_IN)]

    def names(self) -> Iterable[tuple[str, list[Arm]]]:
        """Return each measured name with the arms that either side has of it."""
        by_name: dict[str, list[Arm]] = {}
        for (_, side, name), arm in self.route.arms.items():
            if side in (self.baseline, self.candidate):
                by_name.setdefault(name, []).append(arm)
        timed = {measure for (_, side, measure) in self.route.latency if side == self.baseline}
        for measure in sorted(timed):
            for level in TAILS:
                by_name[f"{measure}_above_p{100 * level:.0f}"] = []
        return sorted(by_name.items())

    def arm(self, cohort: str, side: str, name: str) -> Arm:
        """Return the arm of a cohort (or of the rare ones together), empty where there is none."""
        if cohort != RARE:
            return self.route.arms.get((cohort, side, name), NOTHING)
        return _summed(self.route.arms.get((c, side, name), NOTHING) for c in self._members(cohort))

    def pair(self, cohort: str, name: str, metric: Metric) -> tuple[Arm, Arm]:
        """Return (baseline, candidate) of a metric on a cohort, in all that is compared."""
        base = self._told(cohort, self.baseline, name, metric)
        other = self._told(cohort, self.candidate, name, metric)
        return self._compared(base, other, self.epochs(cohort, name, metric))

    def _compared(self, base: Arm, other: Arm, epochs: Epochs) -> tuple[Arm, Arm]:
        """Return the arms within the epochs that have both; one side alone where none has."""
        if not self.shared:
            return base, other
        if not epochs:
            return (base, NOTHING) if base.n else (NOTHING, other)
        return base.narrowed([b for b, _ in epochs]), other.narrowed([c for _, c in epochs])

    def _told(self, cohort: str, side: str, name: str, metric: Metric) -> Arm:
        arm = self.arm(cohort, side, name)
        if metric.kind == "outcome":
            arm = with_all(arm, self.arm(cohort, side, BASE))
        return inverted(arm) if metric.is_inverted else arm

    @cached_property
    def shared(self) -> list[int]:
        """Epochs in which both sides served; empty while there is but one epoch.

        Sides that follow each other overlap for as long as the roll-out takes; that is all that
        is compared only where it holds half of the candidate's traces. Of variants it is where
        anything can be concluded from it.
        """
        served = [self._served(side) for side in (self.baseline, self.candidate)]
        shared = sorted(set(served[0]) & set(served[1]))
        overlaps = [sum(of_side[epoch] for epoch in shared) for of_side in served]
        is_roll_out = 2 * overlaps[1] < sum(served[1].values())
        are_beside = self.dimension in SIDE_BY_SIDE and min(overlaps) >= _FEWEST_BESIDE
        return shared if are_beside or not is_roll_out else []

    @property
    def is_concurrent(self) -> bool:
        """Whether what is compared was served at the same times, as far as epochs can tell."""
        return bool(self.shared or not self.route.epochs)

    def _served(self, side: str) -> dict[int, float]:
        """Return a side's traces by epoch."""
        served: dict[int, float] = {}
        for cohort in self.labelled:
            for epoch, arm in self.route.epochs.get((cohort, side, BASE), {}).items():
                served[epoch] = served.get(epoch, 0) + arm.n
        return served

    def newest(self, side: str) -> Arm:
        """Return all traces of a side in the newest shared epoch; without epochs, of all times."""
        if not self.shared:
            return _summed(self.arm(cohort, side, BASE) for cohort in self.labelled)
        told = (self.route.epochs.get((cohort, side, BASE), {}) for cohort in self.labelled)
        return _summed(epochs.get(self.shared[-1], NOTHING) for epochs in told)

    def epochs(self, cohort: str, name: str, metric: Metric) -> Epochs:
        """Return (baseline, candidate) within each shared epoch that has both."""
        if not self.shared:
            return ()
        sides = [self._in_epochs(cohort, s, name, metric) for s in (self.baseline, self.candidate)]
        both = [epoch for epoch in self.shared if epoch in sides[0] and epoch in sides[1]]
        return tuple((sides[0][epoch], sides[1][epoch]) for epoch in both)

    def history(self, cohort: str, name: str, metric: Metric) -> Arm:
        """Return the baseline's traces from before the first epoch that both sides served."""
        if not self.shared:
            return NOTHING
        told = self._in_epochs(cohort, self.baseline, name, metric)
        return _summed(arm for epoch, arm in told.items() if epoch < self.shared[0])

    def _in_epochs(self, cohort: str, side: str, name: str, metric: Metric) -> dict[int, Arm]:
        found: dict[int, Arm] = {}
        for member in self._members(cohort):
            told = self.route.epochs.get((member, side, name), {})
            base = self.route.epochs.get((member, side, BASE), {})
            for epoch in base if metric.kind == "outcome" else told:
                arm = told.get(epoch, NOTHING)
                if metric.kind == "outcome":
                    arm = with_all(arm, base[epoch])
                arm = inverted(arm) if metric.is_inverted else arm
                found[epoch] = found[epoch] + arm if epoch in found else arm
        return found

    def _members(self, cohort: str) -> list[str]:
        return self._by_cohort.get(cohort, [cohort])

    def pairs(self, cohort: str, name: str) -> Pairs | None:
        """Return the mirrored pairs of a metric on a cohort; * is the whole route."""
        return self.route.pairs.get((cohort, self.baseline, self.candidate, name))

    def histogram(self, cohorts: Iterable[str], side: str, measure: str) -> Histogram:
        """Return the latency of a side over some cohorts, of all times."""
        keys = self._latency_keys(cohorts, side, measure)
        return sum((self.route.latency.get(key, EMPTY) for key in keys), EMPTY)

    def histograms(self, cohorts: Iterable[str], side: str, measure: str) -> list[Histogram]:
        """Return the latency of a side over some cohorts in each shared epoch."""
        told = [
            self.route.latency_epochs.get(key, {})
            for key in self._latency_keys(cohorts, side, measure)
        ]
        return [sum((epochs.get(e, EMPTY) for epochs in told), EMPTY) for e in self.shared]

    def compared(self, cohorts: Iterable[str], side: str, measure: str) -> Histogram:
        """Return the latency of a side over some cohorts in all that is compared."""
        if not self.shared:
            return self.histogram(cohorts, side, measure)
        return sum(self.histograms(cohorts, side, measure), EMPTY)

    def _latency_keys(self, cohorts: Iterable[str], side: str, measure: str) -> list[Key]:
        return [(m, side, measure) for cohort in cohorts for m in self._members(cohort)]

    def threshold(self, cohort: str | None, name: str) -> int | None:
        """Return the bin that a tail metric counts beyond: the frozen one, else today's quantile.

        cohort None is the whole route. Today's is noted for freezing once it is told well enough.
        """
        key = (WHOLE_ROUTE if cohort is None else cohort, self.baseline_label, name)
        if key in self.route.thresholds:
            return self.route.thresholds[key]
        measure, _, level = name.partition("_above_p")
        cohorts = self.labelled if cohort is None else [cohort]
        histogram = self.histogram(cohorts, self.baseline, measure)
        if not histogram.bins:
            return None
        place = histogram.bin_at(float(level) / 100)
        if histogram.n >= _FEWEST_FOR_A_TAIL:
            self.to_freeze.append(Threshold(*key, place, int(histogram.n)))
        return place

    def tail(self, cohort: str, name: str, threshold_bin: int) -> tuple[Arm, Arm]:
        """Return (baseline, candidate) of the traces beyond a threshold."""
        measure = name.partition("_above_p")[0]
        base, other = (
            tail_arm(
                self.histogram([cohort], side, measure),
                threshold_bin,
                self.arm(cohort, side, _TIMED[measure]),
            )
            for side in (self.baseline, self.candidate)
        )
        return self._compared(base, other, self.tail_epochs(cohort, name, threshold_bin))

    def tail_epochs(self, cohort: str, name: str, threshold_bin: int) -> Epochs:
        """Return the traces beyond a threshold within each shared epoch."""
        measure = name.partition("_above_p")[0]
        base, other = (
            [
                rate_arm(told.n, told.above(threshold_bin))
                for told in self.histograms([cohort], side, measure)
            ]
            for side in (self.baseline, self.candidate)
        )
        return tuple((b, c) for b, c in zip(base, other, strict=True) if b.n and c.n)


def counts_of(epochs: Sequence[tuple[Arm, Arm]]) -> tuple[Counts, ...]:
    """Return the epochs of a rate as the test of proportions takes them."""
    return tuple(Counts(b.n, b.total, c.n, c.total) for b, c in epochs)


def with_all(arm: Arm, base: Arm) -> Arm:
    """Return the arm of an outcome over all traces: without it, nothing happened."""
    return Arm(
        base.n, arm.total, arm.total_sq, base.clusters,
        arm.cluster_total_sq, arm.cluster_cross, base.cluster_size_sq,
    )  # fmt: skip


def _summed(arms: Iterable[Arm]) -> Arm:
    whole = NOTHING
    for arm in arms:
        whole = whole + arm if whole.n else arm
    return whole


def is_tail(name: str) -> bool:
    """Say whether a measured name is a share above the baseline's quantile."""
    return "_above_p" in name


def sides_of(arms: Mapping[Key, Arm]) -> list[str]:
    """Return the sides that have traces."""
    return sorted({side for _, side, name in arms if name == BASE})
