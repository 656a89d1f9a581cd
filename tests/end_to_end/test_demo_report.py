"""How the demo shows what it found: numbers in their own units, and the alarm where there is one."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
from rich.console import Console

from tollway_processor.demo.questions import QUESTIONS
from tollway_processor.demo.report import show
from tollway_processor.demo.signal_values import signal_values

STORE = "chdb:demo-data/[x]"


@pytest.mark.parametrize(
    ("kind", "unit", "numbers", "shown"),
    [
        ("rate", "share", (0.04, 0.347, 0.307, 0.123, 0.522),
         ("4.0%", "34.7%", "+30.7 pt", "+12.3 pt … +52.2 pt")),
        ("log_mean", "ln USD", (math.log(0.004), math.log(0.001), math.log(0.25), -2.0, -1.0),
         ("$0.004000", "$0.001000", "-75.0%", "-86.5% … -63.2%")),
        ("log_mean", "ln ms", (math.log(200), math.log(100), math.log(0.5), -1.0, 0.0),
         ("200 ms", "100 ms", "-50.0%", "-63.2% … +0.0%")),
        ("log_mean", "ln ms", (math.log(200), math.log(100), math.log(0.5), -1e300, 1e300),
         ("200 ms", "100 ms", "-50.0%", "none yet")),
        ("mean", "calls", (1.865, 2.0, 0.135, -0.02, 0.3),
         ("1.865", "2", "+0.135", "-0.02 … +0.3")),
        ("alarm", "", (0.0, 0.0, 0.0, 0.0, 0.0), ("", "", "", "")),
    ],
)  # fmt: skip
def test_values_of_a_signal_read_in_its_own_unit(
    kind: str, unit: str, numbers: tuple[float, ...], shown: tuple[str, ...]
) -> None:
    names = ("baseline_value", "candidate_value", "harm", "lower", "upper")
    row = {"kind": kind, "unit": unit, **dict(zip(names, numbers, strict=True))}
    assert signal_values(row) == shown


def test_alarm_is_told_with_its_reason() -> None:
    printed = _printed(signals=[_signal("account-closure", "CHEAPER_BUT_WORSE", "alarm")])
    assert "refunds / account-closure / student: json_valid got worse" in printed


def test_without_an_alarm_it_says_so() -> None:
    printed = _printed(signals=[_signal("account-closure", "INSUFFICIENT", "rate")])
    assert "No CHEAPER_BUT_WORSE signal" in printed


def test_held_signals_of_cohorts_are_left_out() -> None:
    printed = _printed(
        signals=[_signal("vip", "HELD", "rate"), _signal("standard", "REGRESSED", "rate")]
    )
    assert "1 of 2 shown" in printed


def test_every_question_and_the_store_are_shown_as_they_are() -> None:
    printed = _printed(signals=[])
    assert all(sql.splitlines()[0] in printed for sql in QUESTIONS.values())
    assert STORE in printed


def _printed(*, signals: list[dict[str, Any]]) -> str:
    paper = io.StringIO()
    nothing: dict[str, list[dict[str, Any]]] = {name: [] for name in QUESTIONS}
    show(Console(file=paper, width=140), {**nothing, "signals": signals}, STORE)
    return paper.getvalue()


def _signal(cohort: str, state: str, kind: str) -> dict[str, Any]:
    numbers = dict.fromkeys(("baseline_value", "candidate_value", "harm", "lower", "upper"), 0.1)
    return {
        "route": "refunds",
        "cohort": cohort,
        "candidate": "student",
        "metric": "score_fail:json_valid",
        "kind": kind,
        "state": state,
        "unit": "share",
        "reason": "json_valid got worse",
        **numbers,
    }
