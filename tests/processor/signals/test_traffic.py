"""Epochs start where shares change and nowhere else; releases follow one another."""

from __future__ import annotations

import numpy as np

from tollway_processor.signals.traffic import Traffic


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
