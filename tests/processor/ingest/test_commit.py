"""Bisection with the real engine: what it cannot decode is found, kept and refused alone."""

from __future__ import annotations

import time

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tollway_processor.errors import PermanentError, RetryableError
from tollway_processor.ingest.commit import Commit
from tollway_processor.ingest.counters import Counters
from tollway_processor.ingest.dead_letters import DeadLetters
from tollway_processor.ingest.split import halves, item_count
from tollway_processor.ingest.stamps import Stamps
from tollway_processor.store.client import Delivery


class PoisonedStore:
    """The real store, which also refuses any request that holds a span of the name "poison"."""

    def __init__(self, real) -> None:
        self.real = real
        self.statements = 0

    def ingest(self, signal, batch, **options):
        self.statements += 1
        if any(b"poison" in delivery.body for delivery in batch):
            raise PermanentError("cannot decode")
        return self.real.ingest(signal, batch, **options)


@pytest.fixture
def letters(tmp_path) -> DeadLetters:
    return DeadLetters(tmp_path)


@pytest.fixture
def make_commit(otlp, letters):
    def build(store) -> Commit:
        return Commit(store, Stamps(time.time_ns), Counters(), letters)

    return build


def test_body_that_the_engine_cannot_decode_is_refused_alone(otlp, store, letters, make_commit):
    spans = [otlp.call() for _ in range(5)]
    deliveries = [Delivery(otlp.request(span), "checkout") for span in spans]
    deliveries[2] = Delivery(b"\x0a\x05truncated", "checkout")
    outcomes = make_commit(store).store("traces", deliveries)
    assert [isinstance(outcome, PermanentError) for outcome in outcomes] == [
        False, False, True, False, False,
    ]  # fmt: skip
    for index, span in enumerate(spans):
        assert len(otlp.stored("spans", span.trace_id)) == (index != 2)
    (letter,) = letters.read()
    assert (letter.signal, letter.body, letter.project) == ("traces", *deliveries[2][:2])


@pytest.mark.parametrize("position", [0, 3, 6])
def test_span_at_fault_is_refused_and_its_neighbours_stored(
    otlp, store, letters, make_commit, position
):
    spans = [otlp.call() for _ in range(7)]
    spans[position].name = "poison"
    poisoned = PoisonedStore(store)
    (outcome,) = make_commit(poisoned).store("traces", [Delivery(otlp.request(*spans))])
    assert outcome == [("cannot decode", 1)]
    for index, span in enumerate(spans):
        assert len(otlp.stored("spans", span.trace_id)) == (index != position)
    (letter,) = letters.read()
    kept = ExportTraceServiceRequest.FromString(letter.body)
    assert [s.name for s in kept.resource_spans[0].scope_spans[0].spans] == ["poison"]


def test_refusals_of_the_store_survive_the_bisection(otlp, store, make_commit):
    spans = [otlp.call() for _ in range(4)]
    spans[0].span_id = b""
    spans[3].name = "poison"
    deliveries = [Delivery(otlp.request(span)) for span in spans]
    outcomes = make_commit(PoisonedStore(store)).store("traces", deliveries)
    assert [sum(count for _, count in outcomes[0]), outcomes[1], outcomes[2]] == [1, [], []]
    assert isinstance(outcomes[3], PermanentError)


def test_request_of_bad_spans_only_is_refused_whole_and_kept_once(
    otlp, store, letters, make_commit
):
    spans = [otlp.call() for _ in range(6)]
    for span in spans:
        span.name = "poison"
    delivery = Delivery(otlp.request(*spans))
    (outcome,) = make_commit(PoisonedStore(store)).store("traces", [delivery])
    assert isinstance(outcome, PermanentError)
    assert [letter.body for letter in letters.read()] == [delivery.body]


def test_search_for_bad_spans_is_bounded(otlp, store, letters, make_commit):
    spans = [otlp.call() for _ in range(200)]
    for span in spans[::2]:
        span.name = "poison"
    poisoned = PoisonedStore(store)
    (outcome,) = make_commit(poisoned).store("traces", [Delivery(otlp.request(*spans))])
    assert poisoned.statements < 100
    refused = 200 if isinstance(outcome, PermanentError) else sum(n for _, n in outcome)
    ids = [span.trace_id.hex() for span in spans]
    sql = "SELECT uniqExact(trace_id) AS stored FROM spans WHERE has({ids:Array(String)}, trace_id)"
    assert int(str(store.rows(sql, {"ids": ids})[0]["stored"])) + refused == 200


def test_store_that_goes_down_during_the_search_is_retried(otlp, store, letters, make_commit):
    class Dying(PoisonedStore):
        def ingest(self, signal, batch, **options):
            if self.statements == 2:
                raise RetryableError("gone")
            return super().ingest(signal, batch, **options)

    spans = [otlp.call() for _ in range(4)]
    spans[0].name = "poison"
    (outcome,) = make_commit(Dying(store)).store("traces", [Delivery(otlp.request(*spans))])
    assert isinstance(outcome, RetryableError)
    assert not list(letters.read())


def test_halves_keep_resources_scopes_and_order():
    request = ExportTraceServiceRequest()
    for resource in "ab":
        group = request.resource_spans.add(schema_url=resource)
        for scope in "xy":
            scope_spans = group.scope_spans.add(schema_url=scope)
            for number in range(3):
                scope_spans.spans.add(name=f"{resource}{scope}{number}")
    body = request.SerializeToString()
    names = [[], []]
    for side, part in zip(names, halves("traces", body), strict=True):
        for group in ExportTraceServiceRequest.FromString(part).resource_spans:
            for scope in group.scope_spans:
                side.extend((group.schema_url, scope.schema_url, s.name) for s in scope.spans)
    expected = [(r, s, f"{r}{s}{n}") for r in "ab" for s in "xy" for n in range(3)]
    assert names[0] + names[1] == expected
    assert (len(names[0]), len(names[1])) == (6, 6)


def test_log_records_are_halved_too():
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for number in range(5):
        scope.log_records.add(flags=number)
    first, second = halves("logs", request.SerializeToString())
    assert (item_count("logs", first), item_count("logs", second)) == (2, 3)
    assert halves("logs", b"") is None


def test_replayed_letter_that_fails_again_is_no_second_letter(otlp, store, letters, make_commit):
    poison = Delivery(b"\x0a\x05truncated", "checkout", is_replay=True)
    (outcome,) = make_commit(store).store("traces", [poison])
    assert isinstance(outcome, PermanentError)
    assert not letters.files()
