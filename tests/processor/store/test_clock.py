"""Commits stay in order when the machine's clock does not."""

from __future__ import annotations

import time

from tollway_processor.service import clock_of
from tollway_processor.store.client import Delivery


def test_clock_set_back_stays_behind_no_commit(otlp, store):
    ahead_ns = time.time_ns() + 3_600 * 10**9
    batch = [Delivery(otlp.request(otlp.call()))]
    store.ingest("traces", batch, token="ahead", ingested_at_ns=ahead_ns)
    assert clock_of(store)() > ahead_ns


def testclock_of_an_old_store_is_the_machines(store):
    store.command("TRUNCATE TABLE touched_traces")
    before_ns = time.time_ns()
    assert before_ns <= clock_of(store)() <= time.time_ns()
