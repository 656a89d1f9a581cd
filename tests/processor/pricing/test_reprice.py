"""Stored calls at the current prices."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from tollway_processor.pricing.current import CurrentPrices
from tollway_processor.pricing.reprice import Progress, Repricer, Scope
from tollway_processor.signals.rollup import Rollup

ALWAYS = (date(1970, 1, 1), date(2149, 1, 1))
STUDENT = "acme-student"


def call(otlp, **more):
    return otlp.call(
        **{"gen_ai__request__model": STUDENT, "gen_ai__response__model": STUDENT, **more}
    )


@pytest.fixture
def reprice(store, stamps):
    """Reprice with a configuration; return the days' progress and the report."""

    def run(config, model="", days=None):
        first, last = days or ALWAYS
        repricer = Repricer(store, CurrentPrices(store, config), stamps.next)
        *progress, report = repricer.run(Scope(first, last, model))
        return progress, report

    return run


def stored(otlp, span):
    (row,) = otlp.stored("spans", span.trace_id)
    return row["cost_usd"], row["cost_status"], row["price_id"]


def test_unpriced_call_takes_the_row_that_came_later_and_its_trace_follows(
    otlp, store, set_prices, reprice
):
    span = call(otlp)
    otlp.send(span)
    Rollup(store).run()
    assert stored(otlp, span) == (None, "unpriced", "")
    config = set_prices({"model": STUDENT, "input_usd_per_mtok": 1})
    _, report = reprice(config, model=STUDENT)
    assert stored(otlp, span) == ("0.0001", "computed", f"user:*/{STUDENT}:default:1970-01-01")
    (told,) = report
    assert (told["model"], told["unpriced_since"]) == (STUDENT, 0)
    Rollup(store).run()
    (trace,) = otlp.stored("traces", span.trace_id)
    assert (trace["cost_usd"], trace["unpriced_calls"]) == ("0.0001", 0)


def test_second_run_with_the_same_prices_changes_nothing(otlp, set_prices, reprice):
    span = call(otlp)
    otlp.send(span)
    config = set_prices({"model": STUDENT, "input_usd_per_mtok": 2})
    reprice(config)
    progress, report = reprice(config)
    assert report == []
    assert {step.changed for step in progress} == {0}
    assert not any(step.is_resumed for step in progress)


def test_reported_cost_stays(otlp, set_prices, reprice):
    span = call(otlp, gen_ai__usage__cost__amount=0.25)
    otlp.send(span)
    reprice(set_prices({"model": STUDENT, "input_usd_per_mtok": 3}))
    assert stored(otlp, span) == ("0.25", "reported", "")


def test_rolled_up_call_keeps_its_status_and_takes_the_new_cost(otlp, store, set_prices, reprice):
    computed, reported = call(otlp), call(otlp, gen_ai__usage__cost__amount=0.25)
    set_prices({"model": STUDENT, "input_usd_per_mtok": 4})
    otlp.send(computed, reported)
    for span in (computed, reported):
        store.command(
            "INSERT INTO spans SELECT * REPLACE ('rollup' AS cost_status, "
            "addNanoseconds(ingested_at, 1) AS ingested_at) "
            "FROM spans FINAL WHERE trace_id = {id:String}",
            {"id": span.trace_id.hex()},
        )
    reprice(set_prices({"model": STUDENT, "input_usd_per_mtok": 5}))
    assert stored(otlp, computed)[:2] == ("0.0005", "rollup")
    assert stored(otlp, reported) == ("0.25", "rollup", "")


@pytest.mark.slow
def test_only_the_days_and_the_model_asked_for_are_repriced(otlp, set_prices, reprice):
    span, other = call(otlp), call(otlp, gen_ai__response__model="acme-other")
    otlp.send(span, other)
    config = set_prices({"model_prefix": "acme-", "input_usd_per_mtok": 6})
    reprice(config, days=(date(2020, 1, 1), date(2020, 12, 31)))
    reprice(config, model="acme-other")
    assert stored(otlp, span)[0] != "0.0006"
    assert stored(otlp, other)[0] == "0.0006"


@pytest.mark.slow
def test_run_that_was_cut_off_goes_on_where_it_stopped(otlp, store, stamps, set_prices):
    day_ns = 86_400 * 10**9
    now = otlp.call().start_time_unix_nano
    spans = [call(otlp, start_ns=now - age * day_ns) for age in (40, 41, 42)]
    otlp.send(*spans)
    config = set_prices({"model": STUDENT, "input_usd_per_mtok": 7})
    scope = Scope(*ALWAYS, STUDENT)
    cut = Repricer(store, CurrentPrices(store, config), stamps.next).run(scope)
    assert isinstance(next(cut), Progress)
    cut.close()
    *progress, report = Repricer(store, CurrentPrices(store, config), stamps.next).run(scope)
    assert [step.is_resumed for step in progress[:3]] == [True, False, False]
    assert {stored(otlp, span)[0] for span in spans} == {"0.0007"}
    assert int(str(report[0]["spans"])) >= 3


@pytest.mark.slow
def test_span_sent_again_meanwhile_stays_the_newest(otlp, store, set_prices, reprice):
    span = call(otlp)
    otlp.send(span)
    reprice(set_prices({"model": STUDENT, "input_usd_per_mtok": 8}))
    span.attributes[4].value.int_value = 200  # the tokens in
    otlp.send(span)
    assert Decimal(str(stored(otlp, span)[0])) == Decimal("0.0016")
