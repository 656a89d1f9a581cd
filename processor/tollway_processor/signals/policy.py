"""What a team declares about its comparisons, for all routes and for single ones, in tollway.toml.

What holds where nothing is declared is statistics/defaults.py's; how it is used is evaluate.py's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

import msgspec

Assignment = Literal["observational", "random"]
Dimension = Literal["variant", "release", "prompt", "model"]


class MetricPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one metric is held to; what is not given keeps its default."""

    margin: float | None = None
    """The harm that is still acceptable, in the metric's unit: a share (0.02 is two points), a
    score, or on cost, latency and tokens a part of the baseline (0.05 is 5 %)."""

    floor: float | None = None
    """REGRESSED needs an observed harm above this."""

    minimum_traces: int | None = None
    """Traces of each variant before anything is concluded."""

    minimum_traces_held: int | None = None
    """Traces of each variant before HELD or IMPROVED."""

    role: Literal["guardrail", "tripwire", "goal", "watched"] | None = None
    """guardrail must hold; tripwire rolls back and need not hold; goal must not regress; watched
    decides nothing."""

    worse: Literal["higher", "lower"] | None = None
    """The direction of harm of a mean; for an outcome, `lower` says that it is a good one."""

    value_range: tuple[float, float] | None = None
    """Smallest and largest value of a score that is not one of 0 to 1."""

    def __post_init__(self) -> None:
        """Raise ValueError for a number that no comparison can use."""
        if self.margin is not None and not self.margin > 0:
            raise ValueError(f"margin must be above 0, got {self.margin:g}")
        if self.floor is not None and self.floor < 0:
            raise ValueError(f"floor must not be negative, got {self.floor:g}")
        for minimum in (self.minimum_traces, self.minimum_traces_held):
            if minimum is not None and minimum < 1:
                raise ValueError(f"a minimum of traces must be at least 1, got {minimum}")
        if self.value_range is not None and not self.value_range[0] < self.value_range[1]:
            raise ValueError("value_range must be [smallest, largest]")

    def over(self, other: MetricPolicy) -> MetricPolicy:
        """Return this policy, with the other's values where this one gives none."""
        mine = {name: getattr(self, name) for name in self.__struct_fields__}
        told = {name: value for name, value in mine.items() if value is not None}
        return msgspec.structs.replace(other, **told)


class RoutePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is declared for one route."""

    baseline: str = ""
    """The variant that others are compared with; default: the one that costs most a trace."""

    assignment: Assignment = "observational"
    """random: chance alone decides which variant serves a session. Anything else is
    observational, which is said with every verdict."""

    shares: dict[str, float] = {}
    """Candidate variant to its declared share of the traffic of it and the baseline (0 to 1); a
    split that differs credibly holds the verdict. It implies assignment = "random"."""

    since: datetime | None = None
    """Traces and verdicts before this time (UTC) no longer count, so that an earlier ROLLBACK does
    not stand: for a repaired candidate that keeps its variant name, or after a wrong margin."""

    cohorts: list[str] = []
    """The cohorts on which every guardrail must hold; default: every labelled cohort."""

    mix: dict[str, float] = {}
    """Cohort to its weight in the route's number; default: the mix of the baseline's traffic."""

    metrics: dict[str, MetricPolicy] = {}
    """Metric (score_fail:json_valid) or kind of metric (score_fail) to what it is held to here."""

    @property
    def since_s(self) -> int:
        """Where comparisons start, s since 1970, UTC; 0 where nothing is declared."""
        if self.since is None:
            return 0
        return int(self.since.replace(tzinfo=self.since.tzinfo or UTC).timestamp())

    def __post_init__(self) -> None:
        """Raise ValueError for shares and weights that say nothing."""
        for variant, share in self.shares.items():
            if not 0 < share < 1:
                raise ValueError(f"shares.{variant} must lie between 0 and 1, got {share:g}")
        if self.mix and not (min(self.mix.values()) >= 0 and sum(self.mix.values()) > 0):
            raise ValueError("mix must have weights of at least 0, and one above")


class SignalsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is compared with what, and what it is held to."""

    baselines: dict[str, str] = {}
    """Route to the variant others are compared with; the same as routes.NAME.baseline."""

    dimensions: tuple[Dimension, ...] = ("variant", "release", "prompt")
    """What is compared all the time: variants with the baseline, the newest release
    (service.version) and the newest prompt version with the one before; the last two are
    observational."""

    window_days: int = 28
    """Days of traces that a comparison takes in; older ones no longer count."""

    long_context_tokens: int = 8000
    """Input tokens of a trace's largest call from which it is in builtin:long-context."""

    non_latin_share: float = 0.1
    """Share of non-Latin characters in the last user message from which a trace is in
    builtin:non-english; accents of European languages stay below 5 %."""

    rare_share: float = 0.05
    """Labelled cohorts below this share of the baseline's traffic make up builtin:rare."""

    warm_up_traces: int = 50
    """The first traces of each side that do not count for latency: caches and connections are
    cold then, and a ROLLBACK stands. 0 counts all."""

    outcome_delay_s: int = 0
    """Seconds that outcomes take to arrive: younger traces do not count for outcomes. Concurrent
    variants are equally young, so 0 is right for them."""

    metrics: dict[str, MetricPolicy] = {}
    """Metric or kind of metric to what it is held to on every route."""

    routes: dict[str, RoutePolicy] = {}
    """Route to what is declared for it."""

    def route(self, name: str) -> RoutePolicy:
        """Return what holds for a route."""
        policy = self.routes.get(name, RoutePolicy())
        declared = policy.baseline or self.baselines.get(name, "")
        return msgspec.structs.replace(policy, baseline=declared)

    def metric(self, route: str, name: str, kind: str) -> MetricPolicy:
        """Return what a metric is held to on a route: the most specific declaration wins."""
        found = MetricPolicy()
        for layer in self._layers(route):
            for key in (kind, name):
                if key in layer:
                    found = layer[key].over(found)
        return found

    def _layers(self, route: str) -> Iterator[dict[str, MetricPolicy]]:
        yield self.metrics
        if route in self.routes:
            yield self.routes[route].metrics
