"""Epochs start where shares change and nowhere else; releases follow one another."""

from __future__ import annotations

import numpy as np

from tollway_processor.signals.traffic import Traffic, traffic_of


def traffic(shares, size=200, seed=1):
    rng = np.random.default_rng(seed)
    stretches = {}
    for number, share in enumerate(shares):
        few = int(rng.binomial(size, share))
        stretches[1000 + 60 * number] = {"teacher": size - few, "student": few}
    return Traffic(1000, 1000 + 60 * len(shares), stretches=stretches)


def test_a_constant_share_is_one_epoch():
    cuts = [len(traffic([0.1] * 60, seed=seed).epoch_starts()) for seed in range(20)]
    assert np.mean(cuts) < 1.5


def test_a_step_starts_an_epoch_where_it_happens():
    starts = traffic([0.1] * 10 + [0.5] * 10).epoch_starts()
    assert 1000 + 60 * 10 in starts


def test_a_ramp_is_cut_again_and_again():
    assert len(traffic(np.linspace(0.05, 0.5, 40)).epoch_starts()) >= 4


def test_short_stretches_wait_for_enough_traces():
    assert traffic([0.1, 0.9] * 3, size=6).epoch_starts() == []


def test_the_newest_release_follows_the_one_before():
    told = Traffic(
        0, 300, stretches={0: {"1.0": 50}, 100: {"1.0": 20, "1.1": 40}, 200: {"1.1": 9, "1.2": 5}}
    )
    assert told.newest_two(20) == ("1.0", "1.1")
    assert told.newest_two(5) == ("1.1", "1.2")
    assert Traffic(0, 1, stretches={0: {"1.0": 50}}).newest_two(20) is None


def test_first_traces_of_a_side_warm_it_up():
    def row(side, bucket_s, to_s, traces):
        more = {"first_s": 0, "last_s": 7200, "mirrored": 0}
        return {"route": "r", "side": side, "bucket_s": bucket_s, "from_s": bucket_s,
                "to_s": to_s, "traces": traces, **more}  # fmt: skip

    told = [row("old", 0, 3000, 100), row("new", 0, 3000, 20), row("new", 3600, 4600, 60)]
    assert traffic_of(told, 50)["r"].warm_s == {"old": 1500, "new": 3600 + 500}
    assert traffic_of(told)["r"].warm_s == {}
    few = traffic_of([row("new", 0, 3000, 20)], 50)["r"]
    assert few.warm_s == {"new": 3000}, "hardly any of them counts yet"
