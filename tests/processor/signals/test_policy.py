"""What a team declares in tollway.toml is what its signals are held to."""

from __future__ import annotations

import pytest

from tollway_processor.config import load
from tollway_processor.errors import UsageError
from tollway_processor.signals.metrics import metric_of, metrics_of
from tollway_processor.signals.statistics import Arm, Role

TOML = """
[signals]
window_days = 14
baselines = { search = "teacher" }
[signals.metrics.score_fail]
margin = 0.05
[signals.metrics."score_fail:json_valid"]
margin = 0.02
[signals.routes.refunds]
baseline = "frontier"
shares = { student = 0.1 }
cohorts = ["account-closure"]
mix = { easy = 0.9, account-closure = 0.1 }
[signals.routes.refunds.metrics.score_fail]
floor = 0.002
role = "watched"
[signals.routes.refunds.metrics."outcome:reopened"]
worse = "lower"
"""


def config(tmp_path, text):
    path = tmp_path / "tollway.toml"
    path.write_text(text)
    return load(path, {}, {}).signals


def held_to(signals, route, *names):
    named = [(name, [Arm(10, 2.0, 2.0)]) for name in names]
    return metrics_of(route, named, signals)


def test_the_most_specific_declaration_wins(tmp_path):
    signals = config(tmp_path, TOML)
    found = held_to(signals, "refunds", "score_fail:json_valid", "score_fail:cited", "error")
    json_valid, cited = found["score_fail:json_valid"].default, found["score_fail:cited"].default
    assert (json_valid.criteria.margin, cited.criteria.margin) == (0.02, 0.05)
    assert (json_valid.criteria.floor, json_valid.role) == (0.002, Role.WATCHED)
    assert found["error"].default == metric_of("error", []).default
    other = held_to(signals, "search", "score_fail:json_valid")["score_fail:json_valid"].default
    assert (other.criteria.margin, other.role) == (0.02, Role.GUARDRAIL)


def test_a_margin_below_the_default_floor_lowers_the_floor(tmp_path):
    signals = config(tmp_path, "[signals.metrics.score_fail]\nmargin = 0.006\n")
    criteria = held_to(signals, "r", "score_fail:x")["score_fail:x"].default.criteria
    assert criteria.floor == pytest.approx(0.002)


def test_an_outcome_may_be_declared_a_good_one(tmp_path):
    signals = config(tmp_path, TOML)
    assert held_to(signals, "refunds", "outcome:reopened")["outcome:reopened"].is_inverted
    assert not held_to(signals, "search", "outcome:reopened")["outcome:reopened"].is_inverted


def test_baselines_are_declared_in_either_place(tmp_path):
    signals = config(tmp_path, TOML)
    names = [signals.route(name).baseline for name in ("refunds", "search", "other")]
    assert names == ["frontier", "teacher", ""]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[signals.metrics.error]\nmargin = 0\n", "margin must be above 0"),
        ("[signals.metrics.error]\nrole = 'boss'\n", "role"),
        ("[signals.routes.r]\nshares = { student = 10 }\n", "between 0 and 1"),
        ("[signals.routes.r]\nmix = { easy = -1 }\n", "mix"),
        ("[signals.routes.r]\ncohort = ['a']\n", "cohort"),
        ("[signals]\ndimensions = ['colour']\n", "colour"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, told):
    with pytest.raises(UsageError, match=told):
        config(tmp_path, text)
