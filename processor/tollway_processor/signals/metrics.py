"""What each metric of `route_stats` is called as a signal, and how it is compared by default."""

from __future__ import annotations

from dataclasses import dataclass

from tollway_processor.signals.statistics import (
    DEFAULTS,
    Arm,
    Criteria,
    Method,
    MetricDefault,
    Role,
    scaled,
)

# metric of route_stats -> (signal, kind of DEFAULTS, unit)
_PLAIN = {
    "error": ("error", "error", "share"),
    "truncated": ("truncated", "truncated", "share"),
    "refused": ("refused", "refused", "share"),
    "retried": ("retry", "retry", "share"),
    "fallback": ("fallback", "fallback", "share"),
    "tool_error": ("tool_failure", "tool_failure", "share"),
    "tool_calls": ("tool_calls", "tool_calls", "calls"),
    "log_cost_usd": ("cost_usd", "cost", "ln USD"),
    "cost_usd": ("mean_cost_usd", "cost_mean", "USD"),
    "log_duration_ms": ("latency_ms", "latency", "ln ms"),
    "log_ttft_ms": ("ttft_ms", "latency", "ln ms"),
    "log_input_tokens": ("input_tokens", "tokens", "ln tokens"),
    "log_output_tokens": ("output_tokens", "tokens", "ln tokens"),
}
# Outcomes that a product wants: fewer of them is the harm.
GOOD_OUTCOMES = frozenset(
    {"thumbs_up", "resolved", "accepted", "converted", "conversion", "success", "solved", "copied"}
)
BASE = "error"  # the metric that every trace has: its n and clusters are the arm's


@dataclass(frozen=True, slots=True)
class Metric:
    """A signal's name and unit, and the defaults that compare it."""

    name: str
    unit: str
    default: MetricDefault
    is_inverted: bool = False  # a good event is counted: its absence is the bad one

    def criteria(self, baseline: Arm) -> Criteria | None:
        """Return margin, floor and minimums in the metric's unit; None without a baseline mean."""
        if self.default.is_relative and not baseline.mean > 0:
            return None
        return scaled(self.default, baseline.mean) if baseline.n else self.default.criteria


def metric_of(name: str, arms: list[Arm]) -> Metric | None:
    """Return how a metric of route_stats is compared, None where another metric says the same.

    `arms` are all of the route's: a score whose values are only 0 and 1 is told by its fail rate.
    """
    if name in _PLAIN:
        signal, kind, unit = _PLAIN[name]
        return Metric(signal, unit, DEFAULTS[kind])
    kind, _, told = name.partition(":")
    if kind == "outcome":
        is_good = told in GOOD_OUTCOMES
        return Metric(name, "share", DEFAULTS["outcome"], is_inverted=is_good)
    if kind == "score_fail":
        return Metric(name, "share", DEFAULTS["score_fail"])
    return _score_mean(name, arms) if kind == "score" else None


def _score_mean(name: str, arms: list[Arm]) -> Metric | None:
    if all(abs(arm.total - arm.total_sq) < 1e-9 * max(1.0, arm.total) for arm in arms):
        return None
    default = DEFAULTS["score_mean"]
    if any(arm.total_sq > arm.total * (1 + 1e-9) or arm.total < 0 for arm in arms):
        # Not a score of 0 to 1: its margin is not known, so it is shown and decides nothing.
        default = MetricDefault(
            Method.MEAN, default.criteria, default.reason, role=Role.WATCHED, worse=default.worse
        )
    return Metric(name, "score", default)


def inverted(arm: Arm) -> Arm:
    """Return the arm of traces on which the event did not happen."""
    return Arm(
        n=arm.n,
        total=arm.n - arm.total,
        total_sq=arm.n - arm.total,
        clusters=arm.clusters,
        cluster_total_sq=arm.cluster_size_sq - 2 * arm.cluster_cross + arm.cluster_total_sq,
        cluster_cross=arm.cluster_size_sq - arm.cluster_cross,
        cluster_size_sq=arm.cluster_size_sq,
    )
