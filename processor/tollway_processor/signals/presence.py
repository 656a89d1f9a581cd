"""Where one side alone was measured for a while: another epoch, so that only the rest is compared.

A score may be turned on for one variant first, and a cohort be served by one variant first, while
the route's shares stay as they are. Only times and numbers are looked at, never a result.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

# Of sides that came together, one in a thousand is taken for one that came later: a cut too many
# costs next to nothing in evidence.
_SURPRISE = math.log(1000)
_SHORTEST_S = 2  # times are told in seconds
_MOST_CUTS = 8
_LARGEST_SHARE = 0.999


class Presence(NamedTuple):
    """When one side had something, s since 1970, UTC, and in how many independent units."""

    first_s: int
    last_s: int
    units: float

    def __or__(self, other: Presence) -> Presence:
        """Return the presence of both."""
        first_s, last_s = min(self.first_s, other.first_s), max(self.last_s, other.last_s)
        return Presence(first_s, last_s, self.units + other.units)


def with_absences(starts: Sequence[int], things: Iterable[Mapping[str, Presence]]) -> list[int]:
    """Return the starts of epochs with those that some side's absence calls for, rising.

    things: by side, the presence of each thing that is measured: a score, the traces of a cohort.
    """
    cuts = sorted(starts)
    most = len(cuts) + _MOST_CUTS
    for sides in things:
        for side, seen in sides.items():
            for name, other in sides.items():
                if name != side and len(cuts) < most:
                    cuts = sorted({*cuts, *_cuts(seen, other, cuts)})
    return cuts


def _cuts(seen: Presence, other: Presence, cuts: Sequence[int]) -> list[int]:
    """Return where a side came, or left, credibly later or earlier than the other.

    Nowhere when one follows the other: nothing would be left that both had.
    """
    if min(seen.last_s, other.last_s) - max(seen.first_s, other.first_s) < _SHORTEST_S:
        return []
    begin_s = max([other.first_s, *(cut for cut in cuts if cut <= seen.first_s)])
    end_s = min([other.last_s, *(cut for cut in cuts if cut > seen.last_s)])
    found = []
    if _is_absence(seen, other, seen.first_s - begin_s):
        found.append(seen.first_s)
    if _is_absence(seen, other, end_s - seen.last_s):
        found.append(seen.last_s + 1)
    return found


def _is_absence(seen: Presence, other: Presence, missed_s: int) -> bool:
    """Say whether a side is missing beside what the other had in some seconds, by more than chance.

    At a share p of those that are drawn, none of k is one of them with probability (1 - p)^k.
    """
    if missed_s < _SHORTEST_S:
        return False
    missed = other.units * min(missed_s / max(other.last_s - other.first_s, 1), 1.0)
    share = seen.units / (seen.units + other.units - missed)
    return -missed * math.log1p(-min(share, _LARGEST_SHARE)) > _SURPRISE
