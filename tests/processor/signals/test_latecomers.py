"""Several processors on one server: what one of them commits late is rolled up by another."""

from __future__ import annotations

import time

import pytest

from tollway_processor.signals.latecomers import _runs
from tollway_processor.signals.rollup import Rollup
from tollway_processor.store.client import Delivery
from tollway_processor.store.opening import open_store


@pytest.fixture(scope="module")
def store(clickhouse):
    opened = open_store(clickhouse.store_url)
    yield opened
    opened.close()


def commit_late(otlp, store, span, age_s):
    """A commit whose stamp is old already when it becomes visible."""
    stamp_ns = store.now_ns() - age_s * 10**9
    batch = [Delivery(otlp.request(span))]
    store.ingest("traces", batch, token=str(stamp_ns), ingested_at_ns=stamp_ns)


@pytest.mark.slow
def test_commit_behind_the_watermark_is_rolled_up(otlp, store):
    rollup = Rollup(store)
    otlp.send(otlp.call(tollway__route="first"))
    rollup.run()
    for age_s in (30, 20, 10):
        late = otlp.call(tollway__route=f"late-{age_s}")
        commit_late(otlp, store, late, age_s)
        assert f"late-{age_s}" in rollup.run()
        (row,) = otlp.stored("traces", late.trace_id)
        assert row["calls"] == 1
    assert rollup.run() == []


@pytest.mark.slow
def test_what_a_killed_processor_left_is_rolled_up_by_the_next(otlp, store):
    left = otlp.call(tollway__route="left")
    other = Rollup(store)
    otlp.send(otlp.call(tollway__route="others"))
    other.run()
    commit_late(otlp, store, left, 60)
    assert "left" in Rollup(store).run()
    assert otlp.stored("traces", left.trace_id)[0]["calls"] == 1


def test_statistics_that_a_killed_processor_owed_are_made_by_another(otlp, store):
    living, killed = Rollup(store), Rollup(store)
    span = otlp.call(tollway__route="owed")
    otlp.send(span)
    while killed._roll_traces():
        pass
    store.command("TRUNCATE TABLE touched_traces")
    assert "owed" in living.run()
    rows = store.rows("SELECT traces FROM route_stats FINAL WHERE route = 'owed'")
    assert [row["traces"] for row in rows] == [1]


@pytest.mark.slow
def test_newest_row_of_a_trace_wins_although_this_machines_clock_was_set_back(
    otlp, store, monkeypatch
):
    trace_id = otlp.trace_id()
    otlp.send(otlp.call(trace_id=trace_id))
    Rollup(store).run()
    hour_ago_ns = time.time_ns() - 3_600 * 10**9
    monkeypatch.setattr(store, "now_ns", lambda: hour_ago_ns)
    otlp.send(otlp.call(trace_id=trace_id))
    Rollup(store, time.time_ns).run()
    assert otlp.stored("traces", trace_id)[0]["calls"] == 2


def test_clock_is_the_servers(store):
    (row,) = store.rows("SELECT toUnixTimestamp64Nano(now64(9)) AS now_ns")
    assert abs(store.now_ns() - int(row["now_ns"])) < 10**9


def test_runs_end_where_a_known_stamp_stands():
    assert _runs([1, 2, 3, 5, 8], {3, 8}) == [[1, 2], [5]]
    assert _runs([], {1}) == []
