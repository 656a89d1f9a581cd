"""Margins, floors, minimums and prior rates that hold where a route declares none.

One entry a kind of metric, each with its reason; which metric is of which kind, and the routes'
own values, are the configuration's. Traces to HELD in the reasons are medians for an equal
candidate that serves a tenth of the traffic, watched at every trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .comparison import Criteria
from .signal import Nature, Role


class Method(StrEnum):
    """Which function compares a metric."""

    RATE = "rate"
    "rates.compare_rate: a trace is bad or it is not."
    MEAN = "mean"
    "means.compare_mean on raw values."
    LOG_MEAN = "log_mean"
    "means.compare_mean on natural logarithms, read as a ratio."


@dataclass(frozen=True, slots=True)
class MetricDefault:
    """How one kind of metric is compared unless a route says otherwise."""

    method: Method
    criteria: Criteria
    reason: str
    "Why these numbers; shown on the reference page."
    role: Role = Role.GUARDRAIL
    nature: Nature = Nature.QUALITY
    worse: str = "higher"
    prior_rate: float = 0.05
    "Baseline rate to assume where it has no history from before the candidate (rates only)."
    value_range: tuple[float, float] | None = None
    "Smallest and largest possible value (means of scores only)."
    is_relative: bool = False
    "Whether margin and floor are shares of the baseline's mean: see `scaled`."


def _rate(margin: float, floor: float) -> Criteria:
    return Criteria(margin=margin, floor=floor)


def _mean(margin: float, floor: float) -> Criteria:
    return Criteria(margin=margin, floor=floor, minimum_traces=50, minimum_traces_held=100)


DEFAULTS: dict[str, MetricDefault] = {
    "error": MetricDefault(
        Method.RATE,
        _rate(0.02, 0.005),
        prior_rate=0.02,
        reason="A failed call is retried or seen by a user; two points above a usual 1 to 2 % "
        "already doubles them, and less cannot be ruled out within days at low traffic.",
    ),
    "truncated": MetricDefault(
        Method.RATE,
        _rate(0.02, 0.005),
        prior_rate=0.02,
        reason="An answer cut at the token limit is usually useless; as for errors.",
    ),
    "refused": MetricDefault(
        Method.RATE,
        _rate(0.02, 0.005),
        prior_rate=0.02,
        reason="More refusals are lost answers. A student that lost refusals it should give "
        "needs a score of its own, since fewer refusals read as better here.",
    ),
    "empty": MetricDefault(
        Method.RATE,
        _rate(0.02, 0.005),
        prior_rate=0.01,
        reason="There is no honest reason for an empty answer. One point would be wished for, and "
        "keeps a cohort of some percent waiting for weeks: two can be ruled out by 160 traces.",
    ),
    "invalid_tool_arguments": MetricDefault(
        Method.RATE,
        _rate(0.02, 0.005),
        prior_rate=0.02,
        reason="Arguments that do not parse or match the schema break the agent's step, the "
        "first thing a distilled model loses.",
    ),
    "tool_failure": MetricDefault(
        Method.RATE,
        _rate(0.03, 0.01),
        prior_rate=0.05,
        reason="Tools fail for reasons of their own, about equally in both arms; three points "
        "are beyond that.",
    ),
    "tool_timeout": MetricDefault(
        Method.RATE,
        _rate(0.02, 0.005),
        role=Role.TRIPWIRE,
        prior_rate=0.01,
        reason="A timeout costs the user the whole wait and mostly the answer too.",
    ),
    "retry": MetricDefault(
        Method.RATE,
        _rate(0.03, 0.01),
        role=Role.TRIPWIRE,
        prior_rate=0.05,
        reason="A retry costs money and time and mostly heals; wider than errors.",
    ),
    "retry_storm": MetricDefault(
        Method.RATE,
        _rate(0.01, 0.003),
        role=Role.TRIPWIRE,
        prior_rate=0.005,
        reason="A trace that retries again and again multiplies its cost; it should not happen.",
    ),
    "fallback": MetricDefault(
        Method.RATE,
        _rate(0.03, 0.01),
        role=Role.TRIPWIRE,
        prior_rate=0.03,
        reason="Each fallback pays twice; three points eat a tenth of a 70 % saving at most.",
    ),
    "score_fail": MetricDefault(
        Method.RATE,
        _rate(0.03, 0.01),
        prior_rate=0.05,
        reason="Three points at 5 % is a change that a user base notices; HELD takes about 400 "
        "candidate traces, a regression of ten points about 60.",
    ),
    "score_mean": MetricDefault(
        Method.MEAN,
        _mean(0.03, 0.01),
        worse="lower",
        value_range=(0.0, 1.0),
        reason="Three hundredths of a 0 to 1 score is about the disagreement of two judges; "
        "scores on another scale need a margin of their own.",
    ),
    "outcome": MetricDefault(
        Method.RATE,
        _rate(0.02, 0.005),
        prior_rate=0.03,
        reason="An escalation or a refund costs more than the tokens saved by tens of calls, so "
        "it is held tighter than a score.",
    ),
    "latency_above_p95": MetricDefault(
        Method.RATE,
        _rate(0.05, 0.02),
        prior_rate=0.05,
        nature=Nature.LATENCY,
        reason="The share of traces slower than the baseline's frozen p95 is 5 % by "
        "construction; the margin lets it double. Finds slow tails that a median hides.",
    ),
    "ttft_above_p95": MetricDefault(
        Method.RATE,
        _rate(0.05, 0.02),
        prior_rate=0.05,
        nature=Nature.LATENCY,
        role=Role.TRIPWIRE,
        reason="As for latency; a slow first token is felt, a slow answer is waited for.",
    ),
    "latency_above_p99": MetricDefault(
        Method.RATE,
        _rate(0.02, 0.01),
        prior_rate=0.01,
        nature=Nature.LATENCY,
        reason="1 % by construction; the margin lets it triple, which is the least that can be "
        "ruled out with some hundreds of traces.",
        role=Role.WATCHED,
    ),
    "latency": MetricDefault(
        Method.LOG_MEAN,
        _mean(0.10, 0.03),
        nature=Nature.LATENCY,
        role=Role.GOAL,
        reason="10 % on the typical trace; below 3 % nobody can tell the difference.",
    ),
    "cost": MetricDefault(
        Method.LOG_MEAN,
        _mean(0.05, 0.02),
        nature=Nature.COST,
        role=Role.GOAL,
        reason="A change of route is made to save; 5 % more for the typical trace is a failure, "
        "2 % is price noise.",
    ),
    "cost_mean": MetricDefault(
        Method.MEAN,
        _mean(0.10, 0.03),
        nature=Nature.COST,
        role=Role.GOAL,
        is_relative=True,
        reason="What the invoice adds up, heavy tails included; twice the margin of the typical "
        "trace, since tails need several times the traces. Also for cost per successful trace.",
    ),
    "tokens": MetricDefault(
        Method.LOG_MEAN,
        _mean(0.10, 0.05),
        nature=Nature.VOLUME,
        role=Role.WATCHED,
        reason="A shift of prompts or answers by 10 % either way changes cost and hints at "
        "changed behaviour; cost itself is judged elsewhere.",
    ),
    "tool_calls": MetricDefault(
        Method.MEAN,
        _mean(0.20, 0.05),
        worse="lower",
        role=Role.GOAL,
        is_relative=True,
        reason="A student that no longer calls its tools answers from memory, and no score need "
        "notice. A fifth fewer blocks and is no reason to roll back: it may work better so.",
    ),
}


def scaled(default: MetricDefault, baseline_mean: float) -> Criteria:
    """Return the criteria in the metric's unit: relative ones times the baseline's frozen mean.

    Freeze the mean before the comparison, as the prior rate. Raises ValueError for a relative
    default and a mean that is not above 0.
    """
    criteria = default.criteria
    if not default.is_relative:
        return criteria
    if not baseline_mean > 0:
        raise ValueError(f"a relative margin needs a baseline mean above 0, got {baseline_mean}")
    return criteria.times(baseline_mean)
