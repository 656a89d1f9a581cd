"""A rebuild gives the rows that the roll-up gave, and puts right what was lost or wrong."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from tollway_processor.ingest.stamps import Stamps
from tollway_processor.pricing.config import PricesConfig
from tollway_processor.pricing.current import CurrentPrices
from tollway_processor.pricing.reprice import Repricer, Scope
from tollway_processor.signals.rebuild import rebuild
from tollway_processor.signals.rollup import Rollup

from ..conftest import attributes_of

DAY_NS = 86_400 * 10**9
NOON_NS = time.time_ns() // DAY_NS * DAY_NS - 3 * DAY_NS + DAY_NS // 2
TRACES = "SELECT * EXCEPT rolled_up_at FROM traces FINAL ORDER BY trace_id"
STATS = (
    "SELECT * EXCEPT (computed_at, latency_sketch, ttft_sketch), finalizeAggregation(latency_sketch) AS latency, "
    "finalizeAggregation(ttft_sketch) AS ttft FROM route_stats FINAL WHERE traces > 0 ORDER BY ALL"
)
SPANS = "SELECT * FROM spans FINAL ORDER BY ALL"


@pytest.fixture(scope="module", autouse=True)
def sent(store):
    """Three days of traces that nest, move, and tell a call twice, rolled up bit by bit."""
    from ..conftest import Otlp

    otlp, rollup = Otlp(store), Rollup(store)
    for number in range(9):
        start_ns = NOON_NS + number % 3 * DAY_NS
        outer = otlp.call(
            start_ns=start_ns, tollway__route=f"route-{number % 2}", session__id=f"s{number % 4}"
        )
        inner = otlp.call(trace_id=outer.trace_id, parent=outer.span_id, start_ns=start_ns + 5)
        otlp.send(inner)
        rollup.run()
        otlp.send(outer)
    late = otlp.span(trace_id=outer.trace_id, start_ns=NOON_NS, tollway__route="moved")
    otlp.send(late)
    rollup.run()
    return otlp


def rows(store, *queries):
    return [store.rows(query) for query in queries]


def test_rebuild_gives_the_same_rows(store):
    before = rows(store, TRACES, STATS, SPANS)
    assert len(before[0]) == 9
    done = list(rebuild(store))
    assert [one.day for one in done] == sorted(one.day for one in done)
    assert rows(store, TRACES, STATS, SPANS) == before


def test_rebuild_restores_what_was_lost(store):
    before = rows(store, TRACES, STATS, SPANS)
    for table in ("traces", "route_stats", "trace_days", "told_answers"):
        store.command(f"TRUNCATE TABLE {table}")
    list(rebuild(store))
    assert rows(store, TRACES, STATS, SPANS) == before


def test_rebuild_of_one_day_leaves_the_others(store):
    day = datetime.fromtimestamp(NOON_NS // 10**9, UTC).date() + timedelta(days=1)
    times = "SELECT toString(toDate(started_at)) AS day, min(rolled_up_at) AS at FROM traces FINAL GROUP BY day"
    before = {row["day"]: row["at"] for row in store.rows(times)}
    (done,) = rebuild(store, day, day)
    after = {row["day"]: row["at"] for row in store.rows(times)}
    assert done.day == day
    assert {name for name in after if after[name] != before[name]} == {day.isoformat()}
    assert list(rebuild(store, date(2001, 1, 1), date(2001, 1, 2))) == []


@pytest.mark.slow
def test_rebuild_gives_the_same_rows_after_late_scores_and_a_reprice(store, sent):
    """Scores of a day long rolled up, and prices that changed since: the roll-up and a rebuild agree."""
    told = store.rows("SELECT trace_id, span_id FROM spans FINAL ORDER BY ALL LIMIT 3")
    for row in told:
        carrier = sent.span(name="gen_ai.evaluation.result")
        event = carrier.events.add(
            name="gen_ai.evaluation.result", time_unix_nano=carrier.start_time_unix_nano
        )
        score = {"gen_ai.evaluation.name": "helpful", "gen_ai.evaluation.score.label": "fail"}
        score |= {f"tollway.score.{key}": row[key] for key in ("trace_id", "span_id")}
        event.attributes.extend(attributes_of(score))
        sent.send(carrier)
    config = msgspec.convert(
        {"rows": [{"model_prefix": "gpt-4o", "input_usd_per_mtok": "7"}]}, PricesConfig
    )
    prices = CurrentPrices(store, config)
    prices.apply()
    always = Scope(date(1970, 1, 1), date(2149, 1, 1))
    *_, report = Repricer(store, prices, Stamps(time.time_ns).next).run(always)
    assert sum(int(row["spans"]) for row in report) > 9
    Rollup(store).run()
    before = rows(store, TRACES, STATS, SPANS)
    judged = {row["trace_id"]: row["score_fails"] for row in before[0] if row["score_fails"]}
    assert set(judged) == {row["trace_id"] for row in told}
    list(rebuild(store))
    assert rows(store, TRACES, STATS, SPANS) == before
