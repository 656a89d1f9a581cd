"""Calls kept on a ClickHouse server at the current prices: worked out here, written there."""

from __future__ import annotations

from datetime import date

import pytest

from tollway_processor.ingest.stamps import Stamps
from tollway_processor.pricing.current import CurrentPrices
from tollway_processor.pricing.reprice import Progress, Repricer, Scope
from tollway_processor.service import clock_of
from tollway_processor.signals.rollup import Rollup
from tollway_processor.store.opening import open_store

STUDENT = "acme-student"
ALWAYS = Scope(date(1970, 1, 1), date(2149, 1, 1))


@pytest.fixture(scope="module")
def store(clickhouse):
    opened = open_store(clickhouse.store_url)
    yield opened
    opened.close()


@pytest.mark.slow
def test_calls_on_a_server_take_the_prices_that_came_later(otlp, store, set_prices):
    spans = [
        otlp.call(gen_ai__request__model=STUDENT, gen_ai__response__model=STUDENT) for _ in range(3)
    ]
    reported = otlp.call(gen_ai__usage__cost__amount="0.5")
    otlp.send(*spans, reported)
    Rollup(store).run()
    config = set_prices({"model": STUDENT, "input_usd_per_mtok": 1, "output_usd_per_mtok": 10})
    stamp = Stamps(clock_of(store)).next
    repricer = Repricer(store, CurrentPrices(store, config), stamp, part_spans=1)
    *progress, report = repricer.run(ALWAYS)
    assert [step.changed for step in progress if isinstance(step, Progress)] == [3]
    (told,) = report
    assert (told["model"], told["spans"], told["since_usd"]) == (STUDENT, 3, "0.0006")
    for span in spans:
        (row,) = otlp.stored("spans", span.trace_id)
        assert (row["cost_usd"], row["cost_status"]) == ("0.0002", "computed")
    (row,) = otlp.stored("spans", reported.trace_id)
    assert (row["cost_usd"], row["cost_status"]) == ("0.5", "reported")
    Rollup(store).run()
    (trace,) = otlp.stored("traces", spans[0].trace_id)
    assert (trace["cost_usd"], trace["unpriced_calls"]) == ("0.0002", 0)
    assert list(repricer.run(ALWAYS))[-1] == []
