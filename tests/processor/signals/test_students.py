"""A route's story through OTLP and store: a student broken on a rare cohort, a teacher outage with
a healthy student beside it, and that student's promotion."""

from __future__ import annotations

import time

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tollway_processor.signals.evaluator import Evaluator
from tollway_processor.signals.policy import RoutePolicy, SignalsConfig
from tollway_processor.signals.rollup import Rollup

ROUTE = "support"
MODELS = {"teacher": "gpt-4o", "broken": "gpt-4o-mini", "healthy": "gpt-4o-mini"}
HOUR_NS = 3600 * 10**9


class Story:
    """Plays calls of one route and asks for the verdicts."""

    def __init__(self, otlp, store):
        self._otlp, self._store = otlp, store
        self._rollup = Rollup(store)
        config = SignalsConfig(routes={ROUTE: RoutePolicy(baseline="teacher", assignment="random")})
        self._evaluator = Evaluator(store, config)
        self._start_ns = time.time_ns() - 3 * HOUR_NS

    def play(self, hour, variant, cohort, number, *, fails=33, is_down=False):
        """Send calls over an hour; each `fails`th answer is no JSON."""
        spans = []
        for index in range(number):
            span = self._otlp.call(
                gen_ai__request__model=MODELS[variant], gen_ai__response__model=MODELS[variant],
                tollway__route=ROUTE, tollway__variant=variant, tollway__cohort=cohort,
                start_ns=self._start_ns + int((hour + index / number) * HOUR_NS),
                duration_ns=(800 + 11 * (index % 40)) * 10**6,
            )  # fmt: skip
            if is_down:
                span.status.code = Status.STATUS_CODE_ERROR
            event = span.events.add(
                name="gen_ai.evaluation.result", time_unix_nano=span.start_time_unix_nano
            )
            label = "fail" if index % fails == fails - 1 else "pass"
            told = {
                "gen_ai__evaluation__name": "json_valid",
                "gen_ai__evaluation__score__label": label,
            }
            event.attributes.extend(self._otlp.span(**told).attributes)
            spans.append(span)
        self._otlp.send(*spans)

    def verdicts(self):
        """Roll up, evaluate, and return the newest verdict of each candidate."""
        self._evaluator.run(self._rollup.run())
        rows = self._store.rows(f"SELECT * FROM latest_route_verdicts WHERE route = '{ROUTE}'")
        return {row["candidate"]: row for row in rows}

    def states(self, candidate, state):
        """Return (cohort, metric) of the newest signals in a state."""
        rows = self._store.rows(
            f"SELECT cohort, metric FROM latest_route_signals WHERE route = '{ROUTE}' "
            f"AND candidate = '{candidate}' AND state = '{state}'"
        )
        return {(row["cohort"], row["metric"]) for row in rows}


@pytest.fixture(scope="module")
def told(store):
    return {}


@pytest.fixture
def story(otlp, store, told):
    return told.setdefault("story", Story(otlp, store))


def test_student_broken_on_a_rare_cohort_is_rolled_back_there(story):
    story.play(0, "teacher", "standard", 500)
    story.play(0, "teacher", "closure", 90)
    story.play(0, "broken", "standard", 500)
    story.play(0, "broken", "closure", 60, fails=2)
    verdict = story.verdicts()["broken"]
    assert (verdict["verdict"], verdict["cheaper_but_worse"]) == ("ROLLBACK", True)
    assert "json_valid got worse on cohort closure" in verdict["reason"]
    assert not verdict["observational"]
    assert story.states("broken", "CHEAPER_BUT_WORSE") == {("closure", "cheaper_but_worse")}
    worse = {place for place in story.states("broken", "REGRESSED") if place[0] != "*"}
    assert worse == {("closure", "score_fail:json_valid")}


def test_outage_of_the_teacher_blames_no_student(story):
    story.play(1, "healthy", "standard", 500)
    story.play(1, "healthy", "closure", 500)
    story.play(1, "teacher", "closure", 400)
    story.play(2, "teacher", "standard", 40, is_down=True)
    story.play(2, "healthy", "standard", 500)
    verdicts = story.verdicts()
    assert verdicts["healthy"]["verdict"] != "ROLLBACK"
    assert story.states("healthy", "REGRESSED") == set()
    assert verdicts["broken"]["verdict"] == "ROLLBACK"


def test_healthy_student_is_promoted_once_there_is_enough(story):
    for variant in ("teacher", "healthy"):
        for cohort in ("standard", "closure"):
            story.play(2.5, variant, cohort, 800)
    verdict = story.verdicts()["healthy"]
    assert verdict["verdict"] == "PROMOTE", verdict["reasons"]
    assert verdict["traces_needed"] == 0
    assert ("*", "cost_usd") in story.states("healthy", "IMPROVED")
