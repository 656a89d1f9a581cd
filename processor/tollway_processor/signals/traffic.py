"""How a route's traffic was shared over time: where a new epoch starts, and how much comes a day.

Only numbers of traces are looked at, never a result, so that comparisons within epochs stay valid.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

DAY_S = 86_400
SHORTEST_S = 3600  # a rate told from less than an hour would be a guess
# Two-sided p of 0.01 a side and stretch: a cut too many costs next to nothing in evidence, each
# one that is missed lets drift in.
_SHARE_Z = 2.6
_FEWEST = 40  # traces of a stretch before its share says anything
_MOST_EPOCHS = 24


@dataclass(slots=True)
class Traffic:
    """Traces of one route by stretch of time and side."""

    first_s: int = 0
    last_s: int = 0
    mirrored: float = 0
    "Traces with a pair id."
    stretches: dict[int, dict[str, float]] = field(default_factory=dict)
    warm_s: dict[str, int] = field(default_factory=dict)
    "Side to when it had had its first traces, which are no measure of latency."

    @property
    def traces(self) -> float:
        """Traces of all sides."""
        return sum(sum(sides.values()) for sides in self.stretches.values())

    @property
    def sides(self) -> set[str]:
        """Sides that have traces."""
        return {side for sides in self.stretches.values() for side in sides}

    def of(self, side: str) -> float:
        """Return the traces of a side."""
        return sum(sides.get(side, 0.0) for sides in self.stretches.values())

    def first_seen(self) -> dict[str, int]:
        """Return the start of the stretch in which each side first had traces."""
        found: dict[str, int] = {}
        for start_s, sides in sorted(self.stretches.items()):
            for side in sides:
                found.setdefault(side, start_s)
        return found

    def newest_two(self, fewest: float) -> tuple[str, str] | None:
        """Return (the one before, the newest) by first appearance, of sides with enough traces."""
        order = sorted(
            (start, side) for side, start in self.first_seen().items() if self.of(side) >= fewest
        )
        return (order[-2][1], order[-1][1]) if len(order) > 1 else None

    def epoch_starts(self) -> list[int]:
        """Return when the sides' shares changed (s since 1970, UTC), the first start left out."""
        starts: list[int] = []
        epoch: dict[str, float] = {}
        waiting: dict[str, float] = {}
        waiting_since = 0
        for start_s, sides in sorted(self.stretches.items()):
            waiting_since = waiting_since or start_s
            waiting = _sum(waiting, sides)
            if sum(waiting.values()) < _FEWEST:
                continue
            if epoch and len(starts) < _MOST_EPOCHS and shares_differ(epoch, waiting):
                starts.append(waiting_since)
                epoch = {}
            epoch, waiting, waiting_since = _sum(epoch, waiting), {}, 0
        return starts


def _sum(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    return {side: first.get(side, 0) + second.get(side, 0) for side in {*first, *second}}


def shares_differ(first: Mapping[str, float], second: Mapping[str, float]) -> bool:
    """Say whether any side's share differs between two stretches of traffic (pooled z test)."""
    n_first, n_second = sum(first.values()), sum(second.values())
    for side in {*first, *second}:
        a, b = first.get(side, 0.0), second.get(side, 0.0)
        share = (a + b) / (n_first + n_second)
        variance = share * (1 - share) * (1 / n_first + 1 / n_second)
        if abs(a / n_first - b / n_second) > _SHARE_Z * math.sqrt(variance):
            return True
    return False


def traffic_of(rows: Iterable[Mapping[str, Any]], warm_up: int = 0) -> dict[str, Traffic]:
    """Return the traffic of each route from the rows of rollup/traffic.sql.

    warm_up: how many traces of a side come before its latency counts.
    """
    found: dict[str, Traffic] = {}
    still_cold: dict[tuple[str, str], float] = {}
    for row in rows:
        traffic = found.setdefault(str(row["route"]), Traffic())
        traffic.first_s, traffic.last_s = int(str(row["first_s"])), int(str(row["last_s"]))
        stretch = traffic.stretches.setdefault(int(str(row["bucket_s"])), {})
        traffic.mirrored += float(str(row["mirrored"]))
        traces, side = float(row["traces"]), str(row["side"])
        stretch[side] = traces
        cold = still_cold.get((str(row["route"]), side), warm_up)
        if cold > 0:
            # As if the traces of a stretch came evenly from its first to its last.
            part = min(cold / traces, 1.0)
            traffic.warm_s[side] = row["from_s"] + math.ceil(part * (row["to_s"] - row["from_s"]))
            still_cold[str(row["route"]), side] = cold - traces
    return found
