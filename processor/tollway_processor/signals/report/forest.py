"""A forest plot's row: one signal's estimate and interval on a scale of allowed margins.

Metrics differ in unit, so all are drawn as harm divided by what is allowed: 0 is no change, 1 the
margin, as in a plot of non-inferiority (Piaggio et al., CONSORT, JAMA 2012). Harms reach from
fractions of a margin to dozens of them: the scale is an inverse hyperbolic sine, about linear up
to one margin and logarithmic beyond.
"""

from __future__ import annotations

import math
from html import escape

from tollway_processor.signals.statistics import Comparison, State

REACH = 40.0
"""Margins shown on either side of no change; what lies beyond ends in an arrow."""
_TICKS = ((-10.0, "10× better"), (0.0, "no change"), (3.0, "3×"), (10.0, "10× worse"))

TONES = {
    State.REGRESSED: "bad",
    State.IMPROVED: "good",
    State.HELD: "good",
    State.INCONCLUSIVE: "open",
    State.INSUFFICIENT: "open",
}


def axis() -> str:
    """Return the scale's legend as SVG: better to the left, worse to the right."""
    labels = "".join(
        f'<text x="{_x(at):.2f}%" y="12" text-anchor="middle">{name}</text>' for at, name in _TICKS
    )
    margin = f'<text x="{_x(1.1):.2f}%" y="28" text-anchor="start">allowed</text>'
    shapes = labels + margin + _rules(16, 32)
    return f'<svg class="axis" height="32" aria-hidden="true">{shapes}</svg>'


def row(comparison: Comparison | None, description: str) -> str:
    """Return the signal as SVG, its description read out by screen readers.

    The estimate is a dot, the interval a line; without an interval only the dot is drawn.
    """
    label = escape(description, quote=True)
    shapes = _rules(0, 26)
    if comparison is not None:
        shapes += _marks(comparison)
    return f'<svg class="plot" height="26" role="img" aria-label="{label}">{shapes}</svg>'


def _marks(comparison: Comparison) -> str:
    margin = comparison.criteria.margin
    kind = TONES[comparison.state]
    estimate = comparison.difference / margin
    shapes = ""
    if comparison.state is not State.INSUFFICIENT:
        low, high = comparison.lower / margin, comparison.upper / margin
        shapes += (
            f'<line class="interval {kind}" x1="{_x(low):.2f}%" x2="{_x(high):.2f}%" '
            'y1="13" y2="13"/>'
        )
        shapes += _arrow(low, kind) + _arrow(high, kind)
    if -REACH <= estimate <= REACH:
        shapes += f'<circle class="{kind}" cx="{_x(estimate):.2f}%" cy="13" r="5"/>'
    else:
        shapes += _arrow(estimate, kind)
    return shapes


def _rules(top: int, bottom: int) -> str:
    return "".join(
        f'<line class="{name}" x1="{_x(at):.2f}%" x2="{_x(at):.2f}%" y1="{top}" y2="{bottom}"/>'
        for at, name in ((0.0, "zero"), (1.0, "margin"))
    )


def _arrow(value: float, kind: str) -> str:
    """An arrow head where a value lies beyond the scale, else nothing."""
    if -REACH <= value <= REACH:
        return ""
    points = "8,6 0,13 8,20" if value < 0 else "-8,6 0,13 -8,20"
    # A nested svg takes a percentage as its place, a polygon only numbers.
    return (
        f'<svg x="{_x(value):.2f}%" overflow="visible">'
        f'<polygon class="{kind}" points="{points}"/></svg>'
    )


def _x(value: float) -> float:
    """Return the place of a harm (in margins; NaN as 0) on the scale, in percent of its width."""
    if math.isnan(value):
        value = 0.0
    within = max(-REACH, min(REACH, value))
    return 50 + 48 * math.asinh(within) / math.asinh(REACH)
