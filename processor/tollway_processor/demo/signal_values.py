"""How the numbers of one signal read: shares in percent, logarithms as what they are logs of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from tollway_processor.demo.questions import Row

Texts = tuple[str, str, str, str]
UNBOUNDED: Final = 1e300
"""How the table writes an infinite bound."""


def signal_values(row: Row) -> Texts:
    """Return (baseline, candidate, harm, interval of the harm) of a row of route_signals.

    The harm is in points for a rate, in percent of the baseline for a mean of logarithms.
    """
    if row["kind"] == "alarm":
        return ("", "", "", "")
    if row["kind"] == "rate":
        return _texts(row, lambda share: f"{share:.1%}", lambda harm: f"{100 * harm:+.1f} pt")
    if row["kind"] == "log_mean":
        return _texts(row, _unlogged(row["unit"]), lambda harm: f"{math.expm1(harm):+.1%}")
    return _texts(row, lambda mean: f"{mean:.4g}", lambda harm: f"{harm:+.3g}")


def _texts(row: Row, value: Callable[[float], str], harm: Callable[[float], str]) -> Texts:
    return (
        value(row["baseline_value"]),
        value(row["candidate_value"]),
        harm(row["harm"]),
        _interval(row["lower"], row["upper"], harm),
    )


def _interval(lower: float, upper: float, harm: Callable[[float], str]) -> str:
    """Return the two bounds; a signal with too little data has none."""
    if max(-lower, upper) >= UNBOUNDED:
        return "none yet"
    return f"{harm(lower)} … {harm(upper)}"


def _unlogged(unit: str) -> Callable[[float], str]:
    if unit == "ln USD":
        return lambda value: f"${math.exp(value):.6f}"
    return lambda value: f"{math.exp(value):,.0f} {unit.removeprefix('ln ')}"
