"""When a score or a cohort that one side alone had for a while starts another epoch."""

from __future__ import annotations

import random

from tollway_processor.signals.presence import Presence, with_absences

DAY_S = 86_400
FULL = Presence(0, 10 * DAY_S, 1000.0)


def cuts(starts=(), **sides):
    return with_absences(starts, [sides])


def test_score_that_one_side_had_first_starts_an_epoch():
    late = Presence(4 * DAY_S, 10 * DAY_S, 600.0)
    assert cuts(teacher=FULL, student=late) == [4 * DAY_S]
    assert cuts(teacher=late, student=FULL) == [4 * DAY_S]


def test_score_that_one_side_lost_ends_an_epoch():
    gone = Presence(0, 6 * DAY_S, 600.0)
    assert cuts(teacher=FULL, student=gone) == [6 * DAY_S + 1]


def test_what_began_with_an_epoch_starts_no_other():
    start_s = 4 * DAY_S
    late = Presence(start_s + 600, 10 * DAY_S, 600.0)
    assert cuts([start_s], teacher=FULL, student=late) == [start_s]


def test_share_of_a_percent_comes_late_by_chance():
    few = Presence(DAY_S // 2, 10 * DAY_S - 7200, 10.0)
    assert cuts(teacher=FULL, student=few) == []


def test_sides_that_follow_each_other_are_not_cut():
    first, then = Presence(100, 125, 500.0), Presence(125, 150, 500.0)
    assert cuts(teacher=first, student=then) == []


def test_seconds_are_enough_for_an_absence():
    """A bench plays a teacher with one student after the other, faster than a minute each."""
    assert cuts(teacher=Presence(100, 130, 3700.0), student=Presence(110, 130, 2500.0)) == [110]


def test_sides_that_came_together_are_seldom_cut():
    chance = random.Random(5)
    cut = 0
    for _ in range(500):
        share = chance.choice([0.01, 0.1, 0.5])
        times = {"teacher": [], "student": []}
        for _ in range(2000):
            side = "student" if chance.random() < share else "teacher"
            times[side].append(chance.randrange(10 * DAY_S))
        sides = {side: Presence(min(at), max(at), len(at)) for side, at in times.items() if at}
        cut += bool(cuts(**sides))
    assert cut <= 5


def test_cuts_are_few_whatever_comes_and_goes():
    things = [
        {"teacher": FULL, "student": Presence(day * DAY_S // 4, 10 * DAY_S, 800.0)}
        for day in range(1, 30)
    ]
    assert len(with_absences([], things)) <= 10
