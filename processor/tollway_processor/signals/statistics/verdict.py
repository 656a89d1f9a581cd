"""What all signals of one candidate on one route decide: PROMOTE, ROLLBACK or HOLD, and why.

ROLLBACK: the weighted average of the guardrails' e-values against `not worse` reaches 1/alpha.
An average of e-values is an e-value under any dependence (Vovk and Wang, Ann. Stat. 2021), so a
candidate that is equal everywhere is rolled back with probability at most alpha, over all its
metrics, cohorts and looks together. PROMOTE: every guardrail held on its own at alpha; a
candidate harmful by the margin anywhere has to pass that one test wrongly (intersection-union,
Berger, Technometrics 1982), so no correction is needed. CHEAPER_BUT_WORSE averages likewise.

Reaching the signals and keeping their history belong to the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .comparison import State
from .evidence import NO_EVIDENCE, log_average, log_threshold
from .sample_ratio import SampleRatio
from .signal import Nature, Role, Signal, describe

Key = tuple[str, str | None]
Weights = Mapping[Key, float]


_TRIPWIRE_PART = 0.25
_ANEW = (
    "This stands: a repaired candidate needs a variant name of its own, or lets its comparison "
    "begin anew with `since` of the route in tollway.toml."
)
_OBSERVATIONAL = (
    "Observational: the variants did not share their traffic by chance, so that a difference may "
    "have other causes."
)


class Decision(StrEnum):
    """What to do with the candidate."""

    PROMOTE = "PROMOTE"
    ROLLBACK = "ROLLBACK"
    HOLD = "HOLD"


@dataclass(frozen=True, slots=True)
class CheaperButWorse:
    """The candidate is credibly cheaper or faster and credibly worse somewhere."""

    gains: tuple[Signal, ...]
    "Cost and latency signals that IMPROVED, the surest first."
    losses: tuple[Signal, ...]
    "Quality signals that REGRESSED, the surest first."


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision with its reasons in plain words."""

    decision: Decision
    headline: str
    "One sentence: the decision and its main reason."
    reasons: tuple[str, ...]
    "All reasons, the most important first."
    log_e_rollback: float
    "ln of the averaged evidence of harm over all guardrails that matter."
    cheaper_but_worse: CheaperButWorse | None
    traces_needed: int | None
    "Candidate traces still to come for PROMOTE if nothing is wrong; None where none would do."


def decide(
    signals: Sequence[Signal],
    *,
    weights: Weights | None = None,
    sample_ratio: SampleRatio | None = None,
    are_labels_settled: bool = True,
    is_observational: bool = False,
    rolled_back: str = "",
    alpha: float = 0.05,
) -> Verdict:
    """Return the verdict over the signals of one candidate on one route.

    signals: every declared (metric, cohort), the ones without data too (comparison None).
    weights: (metric, cohort) to weight, declared before the comparison; scaled to sum to 1.
    Without them half goes to signals of the whole route and half to those of cohorts, equally.
    is_observational: chance did not split the traffic (before and after a release); only said.
    rolled_back: what was said when this candidate was at ROLLBACK: it stays, a repaired one is new.
    """
    guarded = [s for s in signals if s.role in (Role.GUARDRAIL, Role.TRIPWIRE) and s.has_weight]
    guardrails = [s for s in guarded if s.role is Role.GUARDRAIL]
    log_e = family_evidence(guarded, weights)
    alarm = find_cheaper_but_worse(signals, weights=weights, alpha=alpha)
    if rolled_back or log_e >= log_threshold(alpha):
        decision = Decision.ROLLBACK
        reasons = [*(_losses(guarded) or [rolled_back]), _ANEW]
    elif reasons := _obstacles(signals, guarded, sample_ratio, are_labels_settled):
        decision = Decision.HOLD
    else:
        decision = Decision.PROMOTE
        reasons = [f"All {len(guardrails)} guardrails held on every cohort that matters."]
        reasons += [describe(s) for s in signals if s.state is State.IMPROVED]
    if is_observational:
        reasons.append(_OBSERVATIONAL)
    return Verdict(
        decision=decision,
        headline=_headline(decision, reasons, alarm),
        reasons=tuple(reasons),
        log_e_rollback=log_e,
        cheaper_but_worse=alarm,
        traces_needed=_traces_needed(guardrails),
    )


def default_weights(signals: Iterable[Signal]) -> dict[Key, float]:
    """Return weights that sum to 1: half for the whole route, half for cohorts.

    Inside a half a tripwire has a quarter of a guardrail's weight, since there are many.
    """
    parts = {s.key: _TRIPWIRE_PART if s.role is Role.TRIPWIRE else 1.0 for s in signals}
    route = sum(part for key, part in parts.items() if key[1] is None)
    cohorts = sum(part for key, part in parts.items() if key[1] is not None)
    halves = (route > 0) + (cohorts > 0)
    return {
        key: part / (halves * (route if key[1] is None else cohorts)) for key, part in parts.items()
    }


def family_evidence(signals: Sequence[Signal], weights: Weights | None = None) -> float:
    """Return ln of the averaged e-value that at least one of the signals regressed."""
    shares = _shares(signals, weights)
    told = [(log_e, shares[s.key]) for s in signals if (log_e := s.log_e_regressed) > NO_EVIDENCE]
    return log_average((log_e for log_e, _ in told), (share for _, share in told))


def find_cheaper_but_worse(
    signals: Sequence[Signal], *, weights: Weights | None = None, alpha: float = 0.05
) -> CheaperButWorse | None:
    """Return the alarm when a cost win and a quality loss are both credible, else None.

    Each side is tested over its whole family, so that watching thirty cohorts raises no more
    false alarms than watching one.
    """
    savings = [s for s in signals if s.nature in (Nature.COST, Nature.LATENCY)]
    quality = [s for s in signals if s.nature is Nature.QUALITY]
    shares = _shares(savings, weights)
    gain = log_average((s.log_e_improved for s in savings), (shares[s.key] for s in savings))
    threshold = log_threshold(alpha)
    if gain < threshold or family_evidence(quality, weights) < threshold:
        return None
    gains = sorted(
        (s for s in savings if s.state is State.IMPROVED),
        key=lambda s: s.log_e_improved,
        reverse=True,
    )
    return CheaperButWorse(
        tuple(gains), tuple(_surest(s for s in quality if s.state is State.REGRESSED))
    )


def _shares(signals: Sequence[Signal], weights: Weights | None) -> dict[Key, float]:
    """Return the weight of each signal, summing to 1; undeclared signals get none."""
    if weights is None:
        return default_weights(signals)
    declared = {signal.key: weights.get(signal.key, 0.0) for signal in signals}
    total = sum(declared.values())
    return {key: weight / total if total else 0.0 for key, weight in declared.items()}


def _losses(guardrails: Sequence[Signal]) -> list[str]:
    """Return what regressed, in words, the surest first."""
    return [describe(s) for s in _surest(s for s in guardrails if s.state is State.REGRESSED)]


def _surest(signals: Iterable[Signal]) -> list[Signal]:
    return sorted(signals, key=lambda signal: signal.log_e_regressed, reverse=True)


def _obstacles(
    signals: Sequence[Signal],
    guarded: Sequence[Signal],
    sample_ratio: SampleRatio | None,
    are_labels_settled: bool,
) -> list[str]:
    """Return what stands between the candidate and PROMOTE, the most important first."""
    obstacles = _losses(guarded)
    obstacles += _losses([s for s in signals if s.role is Role.GOAL and s.has_weight])
    guardrails = [s for s in guarded if s.role is Role.GUARDRAIL]
    if sample_ratio is not None and sample_ratio.is_mismatch:
        obstacles.append(
            f"The candidate served {sample_ratio.realised:.1%} of {sample_ratio.units:,.0f} "
            f"instead of {sample_ratio.declared:.1%}: traces are lost or not routed by chance."
        )
    if not guardrails:
        obstacles.append("No guardrail is declared: there is nothing to promote on.")
    for state in (State.INSUFFICIENT, State.INCONCLUSIVE):
        waiting = [s for s in guardrails if s.state is state]
        waiting.sort(key=_need, reverse=True)
        obstacles.extend(describe(s) for s in waiting)
    if not are_labels_settled:
        obstacles.append("Scores and outcomes of the latest traces have not had time to arrive.")
    return obstacles


def _need(signal: Signal) -> float:
    needed = signal.comparison.traces_needed if signal.comparison else None
    return float("inf") if needed is None else needed


def _traces_needed(guardrails: Sequence[Signal]) -> int | None:
    """Return the need of the slowest guardrail."""
    needs = [_need(signal) for signal in guardrails]
    slowest = max(needs, default=0.0)
    return None if slowest == float("inf") else int(slowest)


def _headline(decision: Decision, reasons: Sequence[str], alarm: CheaperButWorse | None) -> str:
    """Return the decision, its first reason, and the number of others."""
    others = len(reasons) - 1
    more = f" ({others} more)" if others and decision is not Decision.PROMOTE else ""
    label = {Decision.PROMOTE: "Promote", Decision.ROLLBACK: "Roll back", Decision.HOLD: "Hold"}
    warning = "cheaper but worse: " if alarm and decision is not Decision.PROMOTE else ""
    return f"{label[decision]}: {warning}{reasons[0].rstrip('.')}{more}."
