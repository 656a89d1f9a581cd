"""A call that is told more than once is paid once, whichever way it was told."""

from __future__ import annotations

import itertools
import time
from decimal import Decimal

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tollway_processor.signals.rollup import Rollup

CALL_USD = Decimal("0.00035")  # gpt-4o: 100 × 2.5e-6 + 10 × 1e-5
SECOND_NS = 1_000_000_000
COST = "SELECT ifNull(sum(cost_usd), 0) AS usd, sum(calls) AS calls FROM traces FINAL WHERE trace_id IN {ids:Array(String)}"
SPAN_COST = (
    "SELECT ifNull(sum(cost_usd), 0) AS usd, count() AS calls FROM spans FINAL "
    "WHERE trace_id IN {ids:Array(String)} AND cost_status NOT IN ('', 'rollup')"
)


@pytest.fixture(scope="module")
def rollup(store):
    return Rollup(store)


def send(otlp, library, *spans):
    """Commit spans as the library of that name would export them."""
    request = ExportTraceServiceRequest.FromString(otlp.request(*spans))
    request.resource_spans[0].scope_spans[0].scope.name = library
    otlp.commit(request.SerializeToString())


def paid(otlp, *spans):
    """What the traces of these spans cost (USD) and their calls; spans and traces must agree."""
    ids = {"ids": sorted({span.trace_id.hex() for span in spans})}
    (row,) = otlp.store.rows(COST, ids)
    (from_spans,) = otlp.store.rows(SPAN_COST, ids)
    assert Decimal(str(from_spans["usd"])) == Decimal(str(row["usd"]))
    return Decimal(str(row["usd"])), row["calls"]


def status(otlp, span):
    (row,) = otlp.store.rows(
        "SELECT toString(cost_status) AS status FROM spans FINAL WHERE trace_id = {t:String} AND span_id = {s:String}",
        {"t": span.trace_id.hex(), "s": span.span_id.hex()},
    )
    return row["status"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_call_told_by_two_libraries_in_two_traces_is_paid_once(otlp, rollup, order):
    start_ns = time.time_ns()
    root = otlp.span(start_ns=start_ns)
    answer = f"chatcmpl-{start_ns}"
    framework = otlp.call(trace_id=root.trace_id, parent=root.span_id, start_ns=start_ns,
                          duration_ns=SECOND_NS, gen_ai__response__id=answer)  # fmt: skip
    client = otlp.call(
        start_ns=start_ns + 1000, duration_ns=SECOND_NS // 2, gen_ai__response__id=answer
    )
    sent = [("framework", (root, framework)), ("client", (client,))]
    for number in order:  # each in a step of its own
        send(otlp, sent[number][0], *sent[number][1])
        rollup.run()
    assert paid(otlp, framework, client) == (CALL_USD, 1)
    # The one that stands in a larger trace pays: it knows the route.
    assert (status(otlp, framework), status(otlp, client)) == ("computed", "rollup")


def test_equal_answers_of_different_times_or_one_library_are_calls_of_their_own(otlp, rollup):
    start_ns = time.time_ns()
    same = {"gen_ai__response__id": "chatcmpl-stub", "duration_ns": SECOND_NS // 10}
    by_one = [otlp.call(start_ns=start_ns, **same), otlp.call(start_ns=start_ns, **same)]
    later = otlp.call(start_ns=start_ns + SECOND_NS, **same)
    send(otlp, "one", *by_one)
    send(otlp, "other", later)
    rollup.run()
    assert paid(otlp, *by_one, later) == (3 * CALL_USD, 3)


def test_id_that_many_calls_bear_shows_nothing(otlp, rollup):
    start_ns = time.time_ns()
    same = {
        "gen_ai__response__id": "chatcmpl-constant",
        "start_ns": start_ns,
        "duration_ns": SECOND_NS,
    }
    calls = [[otlp.call(**same) for _ in range(12)] for _ in range(2)]
    for library, told in zip(("one", "other"), calls, strict=True):
        send(otlp, library, *told)
        rollup.run()
    assert paid(otlp, *calls[0], *calls[1]) == (24 * CALL_USD, 24)


def test_siblings_of_two_libraries_are_paid_once(otlp, rollup):
    start_ns = time.time_ns()
    root = otlp.span(start_ns=start_ns)
    same = {"trace_id": root.trace_id, "parent": root.span_id, "duration_ns": SECOND_NS,
            "gen_ai__response__id": f"chatcmpl-{start_ns}"}  # fmt: skip
    one, other = otlp.call(start_ns=start_ns, **same), otlp.call(start_ns=start_ns + 5, **same)
    send(otlp, "one", root, one)
    send(otlp, "other", other)
    rollup.run()
    assert paid(otlp, root) == (CALL_USD, 1)


def test_answer_that_is_fetched_again_and_elsewhere_is_paid_where_it_was_first(otlp, rollup):
    start_ns = time.time_ns() - 60 * SECOND_NS
    told = {
        "gen_ai__response__id": f"resp_{start_ns}",
        "gen_ai__operation__name": "retrieve_response",
    }
    first = otlp.call(start_ns=start_ns, **told)
    again = otlp.call(trace_id=first.trace_id, start_ns=start_ns + 9 * SECOND_NS, **told)
    elsewhere = otlp.call(start_ns=start_ns + 30 * SECOND_NS, **told)
    for span in (elsewhere, again, first):
        otlp.send(span)
        rollup.run()
    assert paid(otlp, first, elsewhere)[0] == CALL_USD
    assert [status(otlp, span) for span in (first, again, elsewhere)] == [
        "computed",
        "rollup",
        "rollup",
    ]


def test_retries_below_a_frameworks_span_are_calls_of_their_own(otlp, rollup):
    outer = otlp.call()
    failed = otlp.span(trace_id=outer.trace_id, parent=outer.span_id, gen_ai__operation__name="chat",
                       gen_ai__request__model="gpt-4o")  # fmt: skip
    answered = otlp.call(trace_id=outer.trace_id, parent=outer.span_id)
    otlp.send(outer, failed, answered)
    rollup.run()
    assert paid(otlp, outer) == (CALL_USD, 2)


def test_status_follows_what_arrives_and_a_resent_span(otlp, rollup):
    outer, reported = otlp.call(), "0.5"
    otlp.send(outer)
    rollup.run()
    assert status(otlp, outer) == "computed"
    inner = otlp.call(trace_id=outer.trace_id, parent=outer.span_id, gen_ai__usage__cost=reported)
    otlp.send(inner)
    rollup.run()
    assert (status(otlp, outer), status(otlp, inner)) == ("rollup", "reported")
    otlp.send(outer)  # a retry: the span comes back as it was
    rollup.run()
    assert (status(otlp, outer), paid(otlp, outer)) == ("rollup", (Decimal(reported), 1))
    moved = otlp.call(trace_id=outer.trace_id, span_id=inner.span_id)  # no longer below the outer
    otlp.send(moved)
    rollup.run()
    assert (status(otlp, outer), status(otlp, inner)) == ("computed", "computed")
    assert paid(otlp, outer) == (2 * CALL_USD, 2)


def test_rolling_up_again_writes_nothing(otlp, rollup, store):
    outer = otlp.call()
    otlp.send(outer, otlp.call(trace_id=outer.trace_id, parent=outer.span_id))
    rollup.run()
    count = "SELECT count() AS n FROM spans WHERE trace_id = {t:String}"
    before = store.rows(count, {"t": outer.trace_id.hex()})
    assert rollup.run() == []
    store.command(
        "INSERT INTO touched_traces SELECT now64(9, 'UTC'), {t:String}", {"t": outer.trace_id.hex()}
    )
    rollup.run()
    assert store.rows(count, {"t": outer.trace_id.hex()}) == before


@pytest.mark.parametrize("length", [1, 2, 3, 3000])
def test_parents_in_a_circle_end_and_are_paid_once(otlp, rollup, length):
    trace_id, start_ns = otlp.trace_id(), time.time_ns() - SECOND_NS
    ids = [(1 << 40 | number).to_bytes(8, "big") for number in range(length)]
    ring = [otlp.call(trace_id=trace_id, span_id=own, parent=ids[at - 1], start_ns=start_ns + at)
            for at, own in enumerate(ids)]  # fmt: skip
    beside = otlp.call(trace_id=trace_id)
    otlp.send(*ring, beside)
    rollup.run()
    assert paid(otlp, beside) == (2 * CALL_USD, 2)


def test_chain_of_thousands_is_paid_at_its_end(otlp, rollup):
    trace_id, start_ns = otlp.trace_id(), time.time_ns() - SECOND_NS
    ids = [b"", *(number.to_bytes(8, "big") for number in range(1, 3001))]
    chain = [otlp.call(trace_id=trace_id, span_id=own, parent=above, start_ns=start_ns)
             for above, own in itertools.pairwise(ids)]  # fmt: skip
    otlp.send(*reversed(chain))
    rollup.run()
    assert paid(otlp, *chain) == (CALL_USD, 1)
    assert status(otlp, chain[-1]) == "computed"
