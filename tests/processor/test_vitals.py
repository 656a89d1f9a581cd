"""The gauges of the store's weight, read from a real one."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime
from datetime import time as clock

from prometheus_client.parser import text_string_to_metric_families

from tollway_processor.errors import RetryableError
from tollway_processor.ingest.counters import Counters
from tollway_processor.ingest.dead_letters import DeadLetter, DeadLetters
from tollway_processor.vitals import Vitals


def values(counters):
    families = text_string_to_metric_families(counters.text())
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_store_is_weighed(otlp, store, tmp_path):
    counters, letters = Counters(), DeadLetters(tmp_path)
    vitals = Vitals(store, counters, letters, retention_days=30)
    assert math.isnan(values(counters)["tollway_store_parts"]), "nothing was read yet"
    otlp.send(otlp.call())
    letters.append(DeadLetter("traces", b"x" * 1000, "", "cause"))
    vitals.read()
    told = values(counters)
    assert told["tollway_engine_memory_bytes"] > 1e6
    assert told["tollway_store_parts"] >= 2
    assert told["tollway_store_rows"] >= 2
    assert told["tollway_store_bytes"] > 1000
    assert told["tollway_dead_letter_bytes"] > 1000
    assert told["tollway_retention_seconds"] == 30 * 86_400
    today = datetime.combine(datetime.now(UTC).date(), clock(), UTC).timestamp()
    assert told["tollway_oldest_span_timestamp_seconds"] in (today, today - 86_400)
    assert told["process_resident_memory_bytes"] > 50e6
    assert told["process_cpu_seconds_total"] > 0
    assert abs(told["process_start_time_seconds"] - time.time()) < 60


def test_counts_that_are_not_believed_are_counted_by_cause(otlp, store, tmp_path):
    counters = Counters()
    Vitals(store, counters, DeadLetters(tmp_path), 30)
    otlp.send(otlp.call(input_tokens=-5), otlp.call(input_tokens=-7, output_tokens="many"))
    otlp.send(otlp.call())
    families = text_string_to_metric_families(counters.text())
    (family,) = (family for family in families if family.name == "tollway_doubted_counts")
    assert family.type == "counter"
    told = {(s.labels["column"], s.labels["cause"]): s.value for s in family.samples}
    assert told == {("input_tokens", "negative"): 2, ("output_tokens", "no number"): 1}


def test_scrape_asks_the_engine_nothing(store, tmp_path, monkeypatch):
    counters = Counters()
    vitals = Vitals(store, counters, DeadLetters(tmp_path), 30)
    vitals.read()

    def refuse(*arguments):
        raise AssertionError("a scrape ran a statement")

    monkeypatch.setattr(store, "rows", refuse)
    assert values(counters)["tollway_store_parts"] > 0


async def test_engine_that_refuses_is_told_once_and_old_values_stay(
    store, tmp_path, monkeypatch, caplog
):
    counters, stopping = Counters(), asyncio.Event()
    vitals = Vitals(store, counters, DeadLetters(tmp_path), 30)
    vitals.read()
    before = values(counters)["tollway_store_bytes"]

    def refuse(*arguments):
        raise RetryableError("down")

    monkeypatch.setattr(store, "rows", refuse)
    vitals.read()
    vitals.read()
    assert values(counters)["tollway_store_bytes"] == before
    assert len([r for r in caplog.records if "down" in r.getMessage()]) == 1
    stopping.set()
    await vitals.run(stopping)
