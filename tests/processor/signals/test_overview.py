"""`tollway signals` shows a person what got cheaper, what got worse, where and how sure."""

from __future__ import annotations

import pytest
from rich.console import Console

from tollway_processor.commands.reader import StoreReader
from tollway_processor.commands.signals import figures, overview
from tollway_processor.signals.evaluator import Evaluator
from tollway_processor.signals.rollup import Rollup


def shown(store, route, *, show_all=False):
    console = Console(width=180)
    with console.capture() as captured:
        console.print(overview(StoreReader(store), route, show_all))
    return captured.get().splitlines()


def words(lines, first):
    return [" ".join(line.split()) for line in lines if " ".join(line.split()).startswith(first)]


def test_overview_names_gain_loss_place_and_surety(store, play):
    play("seen", 40)
    play("healthy", 2)
    Evaluator(store).run(Rollup(store).run())
    lines = shown(store, "seen")
    assert lines[0].split() == [
        "seen:", "student", "against", "teacher", "ROLLBACK", "CHEAPER_BUT_WORSE",
    ]  # fmt: skip
    worse = words(lines, "worse")
    assert any(
        line.startswith("worse score_fail:json_valid rare 3.3 % to 66.7 %") for line in worse
    )
    assert all("at least +" in line for line in worse)
    (cost,) = words(lines, "cheaper cost_usd")
    assert cost.startswith("cheaper cost_usd whole route -9")
    assert "at most -9" in cost
    assert any(line.endswith("; 60 against 60 traces") for line in worse)
    both = shown(store, "")
    assert both.index(lines[0]) < next(
        i for i, line in enumerate(both) if line.startswith("healthy:")
    )
    everything = shown(store, "seen", show_all=True)
    assert words(everything, "open")[:1] != words(lines, "open")[:1]
    assert len(everything) > len(lines)


def test_route_without_two_variants_says_so(store):
    assert shown(store, "nowhere") == ["Nothing to compare yet: no two variants on route nowhere."]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("rate", "1.0 % to 9.0 %, +8.0 points, at least +2.0 points; 50 against 70 traces"),
        ("log_mean", "+8.3 %, at least +2.0 %; 50 against 70 traces"),
        ("mean", "0.01 to 0.09, +0.08 USD, at least +0.02 USD; 50 against 70 traces"),
    ],
)
def test_figures_are_in_the_metrics_unit(kind, told):
    row = {
        "kind": kind, "state": "REGRESSED", "unit": "USD", "baseline_value": 0.01,
        "candidate_value": 0.09, "harm": 0.08, "lower": 0.02, "upper": 0.2, "margin": 0.03,
        "baseline_n": "70", "candidate_n": "50",
    }  # fmt: skip
    assert figures(row) == told
    assert figures(row | {"candidate_n": 0}) == "not measured on both sides"
    assert figures(row | {"state": "INCONCLUSIVE", "upper": 1e300}).count("any amount") == 1
