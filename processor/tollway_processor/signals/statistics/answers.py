"""From the numbers of many comparisons to their states and answers, the same as for one.

What the states mean is comparison.py's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arm_columns import Array
from .comparison import Comparison, Criteria, Evidence, Sizes, State

_STATES = tuple(State)
_CODE = {state: code for code, state in enumerate(_STATES)}


@dataclass(frozen=True, slots=True)
class SizeColumns:
    """As comparison.Sizes, an entry a comparison."""

    n_baseline: Array
    n_candidate: Array
    clusters_baseline: Array
    clusters_candidate: Array

    def missing(self, traces: Array, clusters: Array) -> Array:
        """As Sizes.missing_traces, of these minimums."""
        sizes, groups = (
            np.minimum(self.n_candidate, self.n_baseline),
            np.minimum(self.clusters_candidate, self.clusters_baseline),
        )
        slowest = np.minimum(_part(sizes, traces), _part(groups, clusters))
        more = np.ceil(self.n_candidate * (1 / np.maximum(slowest, 1e-300) - 1))
        is_unknown = (slowest <= 0) | (self.n_candidate <= 0)
        missing = np.where(is_unknown, traces, np.maximum(more, 1))
        return np.asarray(np.where(slowest >= 1, 0.0, missing))

    def rows(self) -> list[Sizes]:
        """Return an object each."""
        columns = (
            self.n_baseline, self.n_candidate, self.clusters_baseline, self.clusters_candidate,
        )  # fmt: skip
        return [Sizes(*row) for row in zip(*(x.tolist() for x in columns), strict=True)]


def _part(have: Array, need: Array) -> Array:
    return np.asarray(np.where(need > 0, have / np.maximum(need, 1e-300), np.inf))


class CriteriaColumns:
    """As comparison.Criteria, an entry a comparison."""

    def __init__(self, criteria: Sequence[Criteria]) -> None:
        self.rows = criteria
        self.margin = np.array([c.margin for c in criteria])
        self.floor = np.array([c.floor for c in criteria])
        self.threshold = -np.log([c.alpha for c in criteria])
        self.traces = np.array([c.minimum_traces for c in criteria], dtype=np.float64)
        self.traces_held = np.array([c.minimum_traces_held for c in criteria], dtype=np.float64)
        self.clusters = np.array([c.minimum_clusters for c in criteria], dtype=np.float64)
        self.clusters_held = np.array([c.minimum_clusters_held for c in criteria], np.float64)

    @property
    def alpha(self) -> Array:
        """Probability of ever being wrong."""
        return np.asarray(np.exp(-self.threshold))


@dataclass(frozen=True, slots=True)
class Answers:
    """What Comparison says of each; `needed` are the traces while it is open."""

    methods: Sequence[str]
    baseline: Array
    candidate: Array
    difference: Array
    lower: Array
    upper: Array
    log_e_regressed: Array
    log_e_held: Array
    log_e_improved: Array
    needed: Array
    design_effect: Array
    worse: Sequence[str]
    unknown: tuple[float, float]
    "The interval of what is INSUFFICIENT."

    def concluded(self, sizes: SizeColumns, criteria: CriteriaColumns) -> list[Comparison]:
        """Return the comparisons."""
        missing_held = sizes.missing(criteria.traces_held, criteria.clusters_held)
        codes = self._codes(sizes, criteria, missing_held)
        is_insufficient = codes == _CODE[State.INSUFFICIENT]
        lower = np.where(is_insufficient, self.unknown[0], self.lower)
        upper = np.where(is_insufficient, self.unknown[1], self.upper)
        is_open = is_insufficient | (codes == _CODE[State.INCONCLUSIVE])
        needed = np.maximum(missing_held, np.ceil(np.where(is_open, self.needed, 0.0)))
        needed = np.where(is_open, needed, 0.0)
        numbers = (
            self.baseline, self.candidate, self.difference, lower, upper,
            self.log_e_regressed, self.log_e_held, self.log_e_improved,
            needed, codes, self.design_effect,
        )  # fmt: skip
        rows = zip(*(column.tolist() for column in numbers), strict=True)
        told = zip(self.methods, sizes.rows(), criteria.rows, self.worse, rows, strict=True)
        return [
            Comparison(
                method, b, c, d, low, high, Evidence(regressed, held, improved), size, held_to,
                _STATES[code], int(more) if more != np.inf else None, effect, worse,
            )
            for method, size, held_to, worse, (
                b, c, d, low, high, regressed, held, improved, more, code, effect,
            ) in told
        ]  # fmt: skip

    def _codes(
        self, sizes: SizeColumns, criteria: CriteriaColumns, missing_held: Array
    ) -> NDArray[np.intp]:
        """As comparison.state_of."""
        threshold = criteria.threshold
        is_regressed = (self.log_e_regressed >= threshold) & (self.difference > criteria.floor)
        cases = (
            (sizes.missing(criteria.traces, criteria.clusters) > 0, State.INSUFFICIENT),
            (is_regressed, State.REGRESSED),
            (missing_held > 0, State.INCONCLUSIVE),
            (self.log_e_improved >= threshold, State.IMPROVED),
            (self.log_e_held >= threshold, State.HELD),
        )
        return np.select(
            [is_so for is_so, _ in cases],
            [_CODE[state] for _, state in cases],
            _CODE[State.INCONCLUSIVE],
        )
