"""Epochs: traffic decides where they end, results never do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tollway_processor.signals.statistics import Counts, merge_epochs

BUCKETS = st.lists(
    st.tuples(st.integers(0, 500), st.integers(0, 500)).map(lambda n: Counts(n[0], 0, n[1], 0)),
    max_size=30,
)


def test_a_steady_share_is_one_epoch() -> None:
    epochs = merge_epochs([Counts(900, 9, 100, 1), Counts(890, 20, 110, 3), Counts(450, 5, 50, 0)])
    assert epochs == [Counts(2240, 34, 260, 4)]


def test_a_ramp_starts_new_epochs() -> None:
    epochs = merge_epochs([Counts(950, 1, 50, 1), Counts(900, 1, 100, 1), Counts(500, 1, 500, 1)])
    assert [round(epoch.share, 2) for epoch in epochs] == [0.05, 0.10, 0.50]


def test_hours_without_traffic_are_passed_over() -> None:
    buckets = [Counts(90, 1, 10, 1), Counts(0, 0, 0, 0), Counts(91, 1, 9, 1)]
    assert len(merge_epochs(buckets)) == 1


def test_hours_of_the_baseline_alone_are_an_epoch_of_their_own() -> None:
    assert len(merge_epochs([Counts(900, 1, 0, 0), Counts(900, 1, 100, 1)])) == 2


@given(BUCKETS)
def test_no_trace_is_lost(buckets: list[Counts]) -> None:
    epochs = merge_epochs(buckets)
    assert sum(epoch.n_baseline for epoch in epochs) == sum(b.n_baseline for b in buckets)
    assert sum(epoch.n_candidate for epoch in epochs) == sum(b.n_candidate for b in buckets)


@given(BUCKETS, st.integers(0, 1000))
def test_bad_traces_move_no_boundary(buckets: list[Counts], seed: int) -> None:
    worse = [
        Counts(b.n_baseline, min(b.n_baseline, seed), b.n_candidate, b.n_candidate) for b in buckets
    ]
    sizes = [(epoch.n_baseline, epoch.n_candidate) for epoch in merge_epochs(buckets)]
    assert sizes == [(epoch.n_baseline, epoch.n_candidate) for epoch in merge_epochs(worse)]
