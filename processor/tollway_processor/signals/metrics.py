"""What each measured quantity is called as a signal, and how it is compared on a route.

The defaults are statistics/defaults.py's, what a team declared is policy.py's; this module puts
one over the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tollway_processor.signals.policy import MetricPolicy, SignalsConfig
from tollway_processor.signals.statistics import (
    DEFAULTS,
    Arm,
    Criteria,
    Method,
    MetricDefault,
    Role,
    scaled,
)

# measured by rollup/arms.sql or latency.py -> (signal, kind of DEFAULTS, unit)
_PLAIN = {
    "error": ("error", "error", "share"),
    "truncated": ("truncated", "truncated", "share"),
    "refused": ("refused", "refused", "share"),
    "empty": ("empty", "empty", "share"),
    "retried": ("retry", "retry", "share"),
    "retry_storm": ("retry_storm", "retry_storm", "share"),
    "fallback": ("fallback", "fallback", "share"),
    "tool_error": ("tool_failure", "tool_failure", "share"),
    "tool_timeout": ("tool_timeout", "tool_timeout", "share"),
    "invalid_tool_arguments": ("invalid_tool_arguments", "invalid_tool_arguments", "share"),
    "tool_calls": ("tool_calls", "tool_calls", "calls"),
    "log_cost_usd": ("cost_usd", "cost", "ln USD"),
    "cost_usd": ("mean_cost_usd", "cost_mean", "USD"),
    "cost_per_success": ("cost_per_success_usd", "cost_mean", "USD"),
    "log_duration_ms": ("latency_ms", "latency", "ln ms"),
    "log_ttft_ms": ("ttft_ms", "latency", "ln ms"),
    "duration_above_p95": ("latency_above_p95", "latency_above_p95", "share"),
    "duration_above_p99": ("latency_above_p99", "latency_above_p99", "share"),
    "ttft_above_p95": ("ttft_above_p95", "ttft_above_p95", "share"),
    "ttft_above_p99": ("ttft_above_p99", "latency_above_p99", "share"),
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
    """A signal's name, kind and unit, and what compares it."""

    name: str
    kind: str
    unit: str
    default: MetricDefault
    is_inverted: bool = False  # a good event is counted: its absence is the bad one

    def criteria(self, baseline: Arm) -> Criteria | None:
        """Return margin, floor and minimums in the metric's unit; None without a baseline mean."""
        if self.default.is_relative and not baseline.mean > 0:
            return None
        return scaled(self.default, baseline.mean) if baseline.n else self.default.criteria

    def held_to(self, policy: MetricPolicy) -> Metric:
        """Return the metric with what a team declared instead of the defaults."""
        default = self.default
        given = {
            name: getattr(policy, name)
            for name in ("margin", "floor", "minimum_traces", "minimum_traces_held")
            if getattr(policy, name) is not None
        }
        given.setdefault("floor", min(default.criteria.floor, given.get("margin", 1e300) / 3))
        if policy.margin is not None and default.role is Role.WATCHED and self.kind == "score_mean":
            default = replace(default, role=Role.GUARDRAIL)  # its scale is known now
        default = replace(
            default,
            criteria=replace(default.criteria, **given),
            role=Role(policy.role) if policy.role else default.role,
            worse=policy.worse if policy.worse and self.kind != "outcome" else default.worse,
            value_range=policy.value_range or default.value_range,
        )
        is_inverted = self.is_inverted
        if self.kind == "outcome" and policy.worse is not None:
            is_inverted = policy.worse == "lower"
        return replace(self, default=default, is_inverted=is_inverted)


def metrics_of(
    route: str, named: Iterable[tuple[str, list[Arm]]], config: SignalsConfig
) -> dict[str, Metric]:
    """Return how each measured quantity of a route is compared, keyed by its measured name."""
    found = {name: metric_of(name, arms) for name, arms in named if not _is_void(name, arms)}
    return {
        name: metric.held_to(config.metric(route, metric.name, metric.kind))
        for name, metric in found.items()
        if metric is not None
    }


def _is_void(name: str, arms: list[Arm]) -> bool:
    """Say whether no side ever called a tool: there is nothing to tell of."""
    return name == "tool_calls" and not any(arm.total for arm in arms)


def metric_of(name: str, arms: list[Arm]) -> Metric | None:
    """Return how a measured quantity is compared by default, None where another one says the same.

    `arms` are all of the route's: a score whose values are only 0 and 1 is told by its fail rate.
    """
    if name in _PLAIN:
        signal, kind, unit = _PLAIN[name]
        return Metric(signal, kind, unit, DEFAULTS[kind])
    kind, _, told = name.partition(":")
    if kind == "outcome":
        is_good = told in GOOD_OUTCOMES
        return Metric(name, kind, "share", DEFAULTS["outcome"], is_inverted=is_good)
    if kind == "score_fail":
        return Metric(name, kind, "share", DEFAULTS["score_fail"])
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
    return Metric(name, "score_mean", "score", default)


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
