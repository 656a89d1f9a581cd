"""Stamps rise whatever the clock does, and the safe watermark never passes one in flight."""

from __future__ import annotations

import threading

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tollway_processor.ingest.stamps import Stamps

# A busy machine is no fault of the code.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_stamps_rise_although_the_clock_stands_still_or_goes_back():
    clock = iter([1000, 1000, 500, 2000])
    stamps = Stamps(lambda: next(clock))
    seen = []
    for _ in range(4):
        with stamps.next() as stamp_ns:
            seen.append(stamp_ns)
    assert seen == [1000, 1001, 1002, 2000]


def test_watermark_waits_for_the_earliest_batch_in_flight():
    stamps = Stamps(iter([1000, 2000, 3000, 3001]).__next__)
    with stamps.next() as first:
        with stamps.next():
            assert stamps.committed_before_ns() == first == 1000
        assert stamps.committed_before_ns() == 1000
    assert stamps.committed_before_ns() == 3000


@PATIENT
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 50)), max_size=30))
def test_no_later_stamp_falls_below_a_promised_watermark(steps):
    now = 0

    def clock() -> int:
        return now

    stamps, promised = Stamps(clock), 0
    for is_batch, now in steps:  # noqa: B007  # `now` is read by the clock
        if is_batch:
            with stamps.next() as stamp_ns:
                assert stamp_ns >= promised
        else:
            assert stamps.committed_before_ns() >= promised
            promised = stamps.committed_before_ns()


def test_stamps_of_many_threads_are_all_different():
    stamps, seen = Stamps(lambda: 1), []

    def take() -> None:
        for _ in range(500):
            with stamps.next() as stamp_ns:
                seen.append(stamp_ns)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 4000
