"""Every documented question, on a seeded store, against answers worked out by hand."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import pytest

from tollway_processor.errors import UsageError
from tollway_processor.questions import SETTINGS, Question, names
from tollway_processor.signals.rollup import Rollup

NOW_NS = time.time_ns()
MINUTE_NS = 60 * 10**9
TRACES = {"dear": "0a" * 16, "plain": "0b" * 16, "failed": "0c" * 16}
SPAN_COLUMNS = (
    "trace_id, span_id, parent_span_id, started_at, duration_ns, ingested_at, name, operation, status, error_type, "
    "route, variant, provider, response_model, input_tokens, output_tokens, cache_read_tokens, reasoning_tokens, "
    "tool_name, ttft_ns, session_id, user_id, retries, cost_usd, cost_status, price_id"
)
# (trace, after the first minute, ms, name, operation, status, tokens in, out, cached, reasoning, tool, ttft ms, retries, USD, status)
SPANS = [
    ("dear", 0, 4000, "answer", "", "OK", None, None, None, None, "", None, 0, None, ""),
    ("dear", 1, 2000, "chat", "chat", "OK", 1000, 100, 800, 40, "", 250, 0, "0.5", "computed"),
    ("dear", 2, 1000, "chat", "chat", "OK", 3000, 300, 0, 0, "", None, 2, "0.25", "computed"),
    ("plain", 0, 1000, "chat", "chat", "OK", 500, 50, None, None, "", None, 0, "0.125", "computed"),
    ("plain", 1, 20, "look up", "execute_tool", "OK", None, None, None, None, "look_up", None, 0, None, ""),
    ("failed", 0, 500, "chat", "chat", "ERROR", 10, 1, None, None, "", None, 0, None, "unpriced"),
    ("failed", 1, 30, "look up", "execute_tool", "ERROR", None, None, None, None, "look_up", None, 0, None, ""),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def seeded(store):
    """Three traces of one session and two users, rolled up; one price row for the cached call."""
    rows = [_row(number, *span) for number, span in enumerate(SPANS)]
    block = "\n".join(json.dumps(row) for row in rows).encode()
    store.insert_block("spans", SPAN_COLUMNS.split(", "), "JSONEachRow", block)
    store.command(
        "INSERT INTO touched_traces SELECT max(ingested_at), arrayJoin({ids:Array(String)}) FROM spans",
        {"ids": list(TRACES.values())},
    )
    price = {
        "price_id": "a-price", "origin": "user", "provider": "openai", "model": "big", "tier": "default",
        "valid_from": "2020-01-01", "valid_to": "2100-01-01", "input_usd_per_token": "0.00001",
        "output_usd_per_token": "0.00002", "cache_read_usd_per_token": "0.000001", "cache_write_usd_per_token": "0.00001",
    }  # fmt: skip
    store.insert_block("prices", list(price), "JSONEachRow", json.dumps(price).encode())
    Rollup(store).run()


def _row(number, trace, after, ms, name, operation, status, *rest):
    tokens_in, tokens_out, cached, reasoning, tool, ttft_ms, retries, usd, cost_status = rest
    started_ns = NOW_NS - 60 * MINUTE_NS + list(TRACES).index(trace) * MINUTE_NS + after * 10**9
    is_call = operation == "chat"
    values = (
        TRACES[trace], f"{number + 1:016x}", "" if after == 0 else "f" * 16, started_ns, ms * 10**6, NOW_NS - MINUTE_NS,
        name, operation, status, "timeout" if status == "ERROR" else "", "refunds",
        "student" if trace == "failed" else "teacher", "openai" if is_call else "",
        ("nobody" if cost_status == "unpriced" else "big") if is_call else "", tokens_in, tokens_out, cached, reasoning,
        tool, None if ttft_ms is None else ttft_ms * 10**6, "s-1", "ann" if trace == "dear" else "bob", retries, usd,
        cost_status, "a-price" if cost_status == "computed" else "",
    )  # fmt: skip
    told = dict(zip(SPAN_COLUMNS.split(", "), values, strict=True))
    return {name: _text_of_time(name, value) for name, value in told.items()}


def _text_of_time(name, value):
    return f"{value // 10**9}.{value % 10**9:09d}" if name.endswith("_at") else value


def ask(reader, name, **given):
    question = Question.named(name)
    settings = {**SETTINGS, "output_format_json_quote_decimals": "1"}
    answer = reader.query(
        question.sql, question.bound(given), format="JSONEachRow", settings=settings
    )
    return [json.loads(line) for line in answer.splitlines()]


def same(row, **expected):
    told = {name: row[name] for name in expected}
    for name, value in expected.items():
        if isinstance(value, Decimal):
            told[name] = None if told[name] is None else Decimal(str(told[name]))
    assert told == expected


def test_cost_by_route_variant_day_user_and_model(reader):
    by_route = {row["variant"]: row for row in ask(reader, "cost_by_route", route="refunds")}
    same(by_route["teacher"], traces=2, calls=3, cost_usd=Decimal("0.875"), unpriced_calls=0)
    same(by_route["teacher"], mean_cost_usd=Decimal("0.4375"))
    same(by_route["student"], traces=1, calls=1, cost_usd=None, unpriced_calls=1)
    by_variant = {row["variant"]: row for row in ask(reader, "cost_by_variant")}
    same(by_variant["teacher"], routes=1, traces=2, cost_usd=Decimal("0.875"))
    days = ask(reader, "cost_by_day")  # two days when an hour ago was yesterday
    assert sum(Decimal(str(day["cost_usd"])) for day in days) == Decimal("0.875")
    assert sum(day["traces"] for day in days) == 3
    users = ask(reader, "cost_by_user", limit="1")
    assert [(user["user_id"], user["sessions"]) for user in users] == [("ann", 1)]
    models = {row["model"]: row for row in ask(reader, "cost_by_model")}
    same(models["big"], calls=3, input_tokens=4500, output_tokens=450, cost_usd=Decimal("0.875"))
    assert models["big"]["usd_per_million_tokens"] == pytest.approx(0.875 / 4950 * 1e6, abs=1e-5)
    same(models["nobody"], calls=1, unpriced_calls=1)


def test_dearest_traces_say_why(reader):
    first, second = ask(reader, "dearest_traces", limit="2")
    same(first, trace_id=TRACES["dear"], cost_usd=Decimal("0.75"))
    # 2 calls against 4/3 a trace; 2,200 tokens a call against 4,961/4.
    assert first["why"] == "2200 tokens a call, 1.8 times the usual"
    same(second, trace_id=TRACES["plain"], cost_usd=Decimal("0.125"))


def test_trace_and_session_show_each_cost(reader):
    spans = ask(reader, "cost_of_trace", trace=TRACES["dear"].upper())
    assert [(s["after_ms"], s["duration_ms"], s["cost_usd"]) for s in spans] == [
        (0, 4000, None), (1000, 2000, "0.5"), (2000, 1000, "0.25"),
    ]  # fmt: skip
    session = ask(reader, "cost_of_session", session="s-1")
    assert [row["so_far_usd"] for row in session] == ["0.75", "0.875", "0.875"]


def test_cache_savings_are_the_difference_of_the_rates(reader):
    (row,) = ask(reader, "cache_savings")
    same(row, model="big", cache_read_tokens=800, read_share=0.1778, unknown_calls=0)
    assert Decimal(row["saved_usd"]) == 800 * Decimal("0.000009")


def test_retries_failures_and_fallbacks(reader):
    (row,) = ask(reader, "retry_costs")
    same(row, traces=3, troubled_traces=2, retries=2, failed_calls=1, fallbacks=0)
    same(row, mean_usd=0.125, troubled_mean_usd=0.75, extra_usd=0.5)  # 0.75 − 2 × 0.125


def test_unpriced_models_tokens_tools_and_times(reader):
    (unpriced,) = ask(reader, "unpriced_models")
    same(unpriced, provider="openai", model="nobody", calls=1, traces=1, input_tokens=10)
    tokens = {row["variant"]: row for row in ask(reader, "tokens_by_kind")}
    same(tokens["teacher"], fresh_input_tokens=3700, cache_read_tokens=800, answer_tokens=410)
    same(tokens["teacher"], reasoning_tokens=40, tokens_a_trace=2475.0)
    (tool,) = ask(reader, "tool_failures")
    same(tool, tool_name="look_up", runs=2, failures=1, failure_rate=0.5, commonest_error="timeout")
    times = {row["variant"]: row for row in ask(reader, "latency")}
    assert times["student"]["p99_ms"] == pytest.approx(1030, rel=0.01)
    assert times["teacher"]["ttft_p50_ms"] == pytest.approx(250, rel=0.01)
    assert times["student"]["ttft_p50_ms"] is None
    longest = ask(reader, "longest_traces", limit="1")
    same(longest[0], trace_id=TRACES["dear"], duration_s=4.0, spans=3, calls=2)


@pytest.mark.parametrize("name", names())
def test_question_is_documented_and_answers_about_no_route(reader, name):
    question = Question.named(name)
    assert question.title.endswith("?")
    assert "\n-- Result: " in question.sql
    given = {p.name: "nothing" for p in question.parameters if p.default is None}
    given |= {p.name: "nowhere" for p in question.parameters if p.name == "route"}
    ask(reader, name, **given)


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("dearest_trace", {}, "did you mean dearest_traces"),
        ("dearest_traces", {"limit": "ten"}, "parameter limit: 'ten' is no whole number"),
        ("dearest_traces", {"limit": "-1"}, "parameter limit: -1 is not between 0 and 4294967295"),
        ("dearest_traces", {"since": "yesterday"}, "parameter since: 'yesterday' is no span"),
        ("dearest_traces", {"rout": "x"}, "has no parameter rout (it has: since, route, limit)"),
        ("cost_of_trace", {}, "cost_of_trace needs --param trace"),
    ],
)
def test_wrong_use_names_the_parameter(name, given, told):
    with pytest.raises(UsageError) as raised:
        Question.named(name).bound(given)
    assert told in str(raised.value)
