"""When a batch is due: at once when idle, once a window in a trickle, full ones always."""

from __future__ import annotations

import pytest

from tollway_processor.ingest.config import BatchConfig
from tollway_processor.ingest.pace import Pace

CONFIG = BatchConfig(
    window_s=0.2, longest_window_s=0.6, linger_s=0.02, max_bytes=1000, max_requests=8, parallel=2
)
MIB = 1 << 20


def commit(pace: Pace, start: float, duration_s: float, requests: int = 1, size: int = 100):
    pace.started(start)
    pace.finished(start + duration_s, duration_s, requests, size)


def test_lone_request_of_an_idle_store_is_due_at_once():
    pace = Pace(CONFIG)
    assert pace.wait_s(100.0, 100.0, 1, 10) == 0
    commit(pace, 100.0, 0.1)
    assert pace.wait_s(105.0, 105.0, 1, 10) == 0


@pytest.mark.parametrize(("requests", "held_bytes"), [(8, 10), (1, 1000)])
def test_full_batch_is_due_at_once(requests, held_bytes):
    pace = Pace(CONFIG)
    pace.started(100.0)
    assert pace.wait_s(100.0, 100.0, requests, held_bytes) == 0


def test_what_comes_while_a_commit_runs_waits_for_its_end_but_not_for_ever():
    pace = Pace(CONFIG)
    pace.started(100.0)
    assert pace.wait_s(101.9, 100.05, 7, 10) > 0
    assert pace.wait_s(102.1, 100.05, 7, 10) <= 0


@pytest.mark.parametrize(("lasted_s", "patience_s"), [(0.5, 2.0), (3.0, 6.0), (60.0, 8.0)])
def test_after_a_long_commit_the_next_one_is_waited_for_longer(lasted_s, patience_s):
    pace = Pace(CONFIG)
    commit(pace, 0.0, lasted_s)
    pace.started(100.0)
    assert pace.wait_s(100.0, 100.0, 7, 10) == pytest.approx(patience_s)


def test_senders_just_answered_are_waited_for_together():
    pace = Pace(CONFIG)
    commit(pace, 100.0, 0.1, requests=6)
    assert pace.wait_s(100.105, 100.105, 1, 10) == pytest.approx(0.03)
    assert pace.wait_s(100.105, 100.105, 6, 10) == 0
    assert pace.wait_s(100.5, 100.5, 1, 10) == 0


def test_senders_of_a_long_commit_have_longer_to_return():
    pace = Pace(CONFIG)
    pace.started(100.0)
    pace.finished(101.0, 1.0, 4, 100, waiting=2)
    assert pace.wait_s(101.0, 100.5, 2, 10) == pytest.approx(0.35)
    assert pace.wait_s(101.1, 100.5, 6, 10) <= 0
    assert pace.wait_s(101.36, 100.5, 5, 10) <= 0


def test_one_sender_in_a_row_is_not_kept_waiting():
    pace = Pace(CONFIG)
    commit(pace, 100.0, 0.1, requests=1)
    assert pace.wait_s(100.101, 100.101, 1, 10) == 0


def trickle(pace: Pace, seconds: float, *, every_s: float, duration_s: float, size: int) -> float:
    """Send one request every `every_s`; return the share of time spent committing."""
    now, busy_s, oldest = 0.0, 0.0, None
    while now < seconds:
        oldest = now if oldest is None else oldest
        if pace.wait_s(now, oldest, 1, 10) <= 0:
            commit(pace, now, duration_s, size=size)
            busy_s += duration_s
            now += duration_s
            oldest = None
        now += every_s
    return busy_s / seconds


def test_trickle_spends_a_bounded_share_of_a_core_on_planning():
    share = trickle(Pace(CONFIG), 60.0, every_s=0.01, duration_s=0.08, size=1000)
    assert 0.1 < share < 0.25


def test_first_requests_of_a_burst_are_not_slowed():
    assert trickle(Pace(CONFIG), 1.0, every_s=0.001, duration_s=0.08, size=1000) > 0.9


def test_large_commits_follow_each_other_without_a_pause():
    share = trickle(Pace(CONFIG), 20.0, every_s=0.001, duration_s=0.3, size=8 * MIB)
    assert share > 0.95


def test_failing_store_is_tried_with_ever_smaller_batches_and_grows_again():
    pace = Pace(CONFIG)
    sizes = []
    for _ in range(5):
        sizes.append(pace.most_requests)
        pace.failed(pace.most_requests)
    assert sizes == [8, 4, 2, 1, 1]
    for _ in range(4):
        pace.stored(pace.most_requests)
    assert pace.most_requests == 8


def test_batches_that_were_too_large_are_seldom_tried_again():
    """The engine's memory takes 25 requests; what is lost at the limit is one batch in a dozen."""
    pace = Pace(BatchConfig(max_requests=64))
    failures = carried = 0
    for _ in range(200):
        requests = pace.most_requests
        if requests > 25:
            pace.failed(requests)
            failures += 1
        else:
            pace.stored(requests)
            carried += requests
    assert failures < 20
    assert carried / 200 > 16


def test_store_that_was_gone_is_filled_soon_again():
    pace = Pace(BatchConfig(max_requests=64))
    pace.stored(64)
    for _ in range(10):
        pace.failed(pace.most_requests)
    for _ in range(6):
        pace.stored(pace.most_requests)
    assert pace.most_requests == 64
