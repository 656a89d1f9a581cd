"""Hypothesis without a clock, and a student that is cheaper and broken on a rare cohort."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

# Examples are derived from the test, and a busy machine fails none.
settings.register_profile("tollway", deadline=None, derandomize=True)
settings.load_profile("tollway")


@pytest.fixture
def play(otlp: Any) -> Callable[..., None]:
    """Send a teacher and a student on a route; `failing` of the student's 60 rare traces fail."""

    def send(route: str, failing: int) -> None:
        spans = []
        for variant, model, broken in (
            ("teacher", "gpt-4o", 2),
            ("student", "gpt-4o-mini", failing),
        ):
            for cohort, number, bad in (("easy", 200, 6), ("rare", 60, broken)):
                spans += [
                    judged(otlp, route, variant, model, cohort, index, is_bad=index < bad)
                    for index in range(number)
                ]
        otlp.send(*spans)

    return send


def judged(
    otlp: Any, route: str, variant: str, model: str, cohort: str, index: int, *, is_bad: bool
) -> Any:
    """A call with its score as an event."""
    span = otlp.call(
        gen_ai__request__model=model, gen_ai__response__model=model, tollway__route=route,
        tollway__cohort=cohort, tollway__variant=variant,
        session__id=f"{route}-{variant}-{cohort}-{index}", input_tokens=100 + index % 7,
    )  # fmt: skip
    event = span.events.add(
        name="gen_ai.evaluation.result", time_unix_nano=span.start_time_unix_nano
    )
    told = {
        "gen_ai__evaluation__name": "json_valid",
        "gen_ai__evaluation__score__label": "fail" if is_bad else "pass",
    }
    event.attributes.extend(otlp.span(**told).attributes)
    return span
