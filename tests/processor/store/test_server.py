"""A ClickHouse server as the store: the real client over a real socket, the writable door behind it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tollway_processor import schema_files
from tollway_processor.errors import RetryableError, StoreError, UsageError
from tollway_processor.signals.evaluator import Evaluator
from tollway_processor.signals.rollup import Rollup
from tollway_processor.store.client import Delivery
from tollway_processor.store.deduplication import remember_blocks
from tollway_processor.store.migrations import migrate
from tollway_processor.store.opening import folder_of, open_store, without_password


@pytest.fixture(scope="module")
def store(clickhouse):
    opened = open_store(clickhouse.store_url)
    yield opened
    opened.close()


def test_migrations_and_prices_are_on_the_server(store):
    assert len(store.migrated) > 5
    (row,) = store.rows("SELECT count() AS n FROM prices FINAL")
    assert row["n"] > 2000


def test_request_is_decoded_here_and_stored_there(otlp, store):
    good = otlp.call(tollway__route="server", gen_ai__input__messages="[]", session__id="it's\n")
    bad = otlp.call(trace_id=b"abc")
    refused = otlp.commit(otlp.request(good), otlp.request(bad))
    assert [tuple(r) for r in refused] == [(1, "trace id has 3 bytes, not 16", 1)]
    (row,) = otlp.stored("spans", good.trace_id)
    assert (row["route"], row["session_id"], row["cost_usd"]) == ("server", "it's\n", "0.00035")
    assert otlp.stored("messages", good.trace_id)[0]["input_messages"] == "[]"


def test_limits_on_attributes_hold_there_too(otlp, store):
    span = otlp.span(note="n" * 300_000, **{f"a{number}": "x" for number in range(1100)})
    otlp.send(span)
    (row,) = otlp.stored("spans", span.trace_id)
    assert row["attributes"]["note"].endswith("n… [cut, 300000 bytes]")
    assert row["attributes"]["tollway.dropped_attributes"] == "77"
    (vitals,) = store.rows(schema_files.text("queries/store_vitals.sql"))
    assert int(vitals["parts"]) > 0


def test_parameters_survive_the_way_to_the_server(store):
    told = {
        "text": "it's a \\ tab\tand\nline",
        "texts": ["a'b", "c\\d", "e\tf"],
        "n": -5,
        "is_so": True,
    }
    sql = "SELECT {text:String} AS text, {texts:Array(String)} AS texts, {n:Int64} AS n, {is_so:Bool} AS is_so"
    assert store.rows(sql, told) == [told]


def test_repeated_batch_stores_one_row(otlp, store):
    span = otlp.call(tollway__route="server-twice")
    batch = [Delivery(otlp.request(span))]
    now_ns = time.time_ns()
    for _ in range(2):
        store.ingest("traces", batch, token="same", ingested_at_ns=now_ns)
    assert len(otlp.stored("spans", span.trace_id)) == 1


def test_block_sent_again_is_stored_once_and_rows_written_again_are_stored(otlp, store):
    batch = [Delivery(otlp.request(otlp.call(), otlp.call(trace_id=b"bad")))]
    now_ns = store.now_ns()
    for token in ("a", "a", "b"):
        store.ingest("traces", batch, token=token, ingested_at_ns=now_ns)
    sql = "SELECT count() AS n FROM refused_spans WHERE trace_id = '626164'"
    assert store.rows(sql)[0]["n"] == 2
    rows = b"2099-01-01 00:00:00\tagain\n"
    for _ in range(2):
        store.insert_block("refused_spans", ["refused_at", "name"], "TSV", rows)
    assert store.rows("SELECT count() AS n FROM refused_spans WHERE name = 'again'")[0]["n"] == 2
    assert remember_blocks(store) == []


def test_rollup_runs_on_the_server(otlp, store):
    span = otlp.call(tollway__route="server-rolled", tollway__variant="it's")
    otlp.send(span)
    assert "server-rolled" in Rollup(store).run()
    (row,) = otlp.stored("traces", span.trace_id)
    assert (row["variant"], row["cost_usd"]) == ("it's", "0.00035")


def test_server_that_went_away_is_retryable_and_loses_nothing(otlp, store, tmp_path):
    span = otlp.call()
    real_url = store.url
    with pytest.raises(RetryableError):
        open_store("clickhouse://127.0.0.1:9/default")
    assert store.url == real_url
    otlp.send(span)
    assert len(otlp.stored("spans", span.trace_id)) == 1


def test_evaluation_runs_on_the_server(otlp, store):
    for variant in ("teacher", "student"):
        otlp.send(otlp.call(tollway__route="it's judged", tollway__variant=variant))
    assert Evaluator(store).run(Rollup(store).run())
    rows = store.rows("SELECT DISTINCT candidate FROM route_signals WHERE route LIKE '%judged'")
    assert rows


@pytest.mark.slow
def test_entrance_made_anew_under_load_swallows_no_row(otlp, store):
    stored, refused, is_over = [], [], threading.Event()

    def send():
        while not is_over.is_set():
            span = otlp.call()
            try:
                otlp.send(span)
                stored.append(span.trace_id.hex())
            except (RetryableError, StoreError) as error:
                refused.append(str(error))

    with ThreadPoolExecutor(2) as threads:
        senders = [threads.submit(send) for _ in range(2)]
        for _ in range(2):
            store.command(
                "ALTER TABLE migrations DELETE WHERE name LIKE 'ingest/%' SETTINGS mutations_sync = 2"
            )
            assert migrate(store) == []
        before = len(stored)
        while len(stored) == before:
            pass
        is_over.set()
        for sender in senders:
            sender.result()
    found = store.rows(
        "SELECT count() AS n FROM spans FINAL WHERE trace_id IN {ids:Array(String)}",
        {"ids": stored},
    )
    assert found[0]["n"] == len(stored) > 0
    assert all("span_stage" in why or "up to date" in why for why in refused), refused


def test_password_is_never_shown():
    told = without_password("clickhouse://me:secret@host:8123/db")
    assert "secret" not in told
    assert "me" in told


@pytest.mark.parametrize("url", ["mysql://x", "chdb:", "clickhouse://", "nothing"])
def test_url_of_no_store_is_wrong_use(url):
    with pytest.raises(UsageError, match="chdb:PATH"):
        folder_of(url)


def test_spans_of_another_convention_and_log_events_reach_the_server(store, otlp):
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    plain = otlp.call()
    foreign = otlp.span(openinference__span__kind="LLM", llm__token_count__prompt=7)
    assert otlp.commit(otlp.request(plain), otlp.request(foreign)) == []
    assert otlp.stored("spans", plain.trace_id)[0]["input_tokens"] == 100
    assert otlp.stored("spans", foreign.trace_id)[0]["input_tokens"] == 7
    logs = ExportLogsServiceRequest()
    record = logs.resource_logs.add().scope_logs.add().log_records.add(
        event_name="gen_ai.user.message", trace_id=plain.trace_id, span_id=plain.span_id,
        observed_time_unix_nano=plain.start_time_unix_nano,
    )  # fmt: skip
    told = record.body.kvlist_value.values.add(key="content")
    told.value.string_value = "Where is it?"
    batch = [Delivery(logs.SerializeToString())]
    assert store.ingest("logs", batch, token="events", ingested_at_ns=time.time_ns()) == []
    (row,) = otlp.stored("messages", plain.trace_id)
    assert row["input_messages"] == (
        '[{"role": "user", "parts": [{"type": "text", "content": "Where is it?"}]}]'
    )
