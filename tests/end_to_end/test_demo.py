"""`tollway demo` run for real at reduced size, its findings checked against the stored spans."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

TRACES = 300
DEADLINE_S = 240
CLI = (sys.executable, "-m", "tollway_processor.cli")
CALLS_SQL = """
    SELECT trace_id, span_id, response_model, input_tokens, output_tokens, cache_read_tokens,
           cost_usd, price_id
    FROM spans FINAL
    WHERE operation = 'chat'
"""
PRICES_SQL = """
    SELECT price_id, input_usd_per_token, output_usd_per_token, cache_read_usd_per_token,
           cache_write_usd_per_token
    FROM prices FINAL
    WHERE provider = 'openai'
"""
PUBLISHED_USD_PER_MILLION = {
    "gpt-4o-2024-08-06": ("2.5", "1.25", "10"),
    "gpt-4o-mini-2024-07-18": ("0.15", "0.075", "0.6"),
}


class Demo(NamedTuple):
    """One finished demo: what it printed and wrote, and what its store holds."""

    printed: str
    report: dict[str, Any]
    calls: list[dict[str, Any]]
    prices: list[dict[str, Any]]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Demo:
    """Run the demo once for the whole test session, however many workers share it."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    kept = shared / "demo.json"
    with open(shared / "demo.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_text(json.dumps(_run_demo(shared, TRACES)._asdict()), encoding="utf-8")
    return Demo(**json.loads(kept.read_text(encoding="utf-8")))


def test_every_trace_costs_its_tokens_times_the_price_rows(demo: Demo) -> None:
    prices = {row["price_id"]: row for row in demo.prices}
    by_hand: defaultdict[str, Decimal] = defaultdict(Decimal)
    for call in demo.calls:
        by_hand[call["trace_id"]] += _cost(call, prices[call["price_id"]])
    told = {row["trace_id"]: Decimal(row["cost_usd"]) for row in demo.report["traces"]}
    assert len(told) == TRACES
    assert told == by_hand


def test_price_rows_are_the_published_ones(demo: Demo) -> None:
    prices = {row["price_id"]: row for row in demo.prices}
    used = {(call["response_model"], call["price_id"]) for call in demo.calls}
    assert {model for model, _ in used} == set(PUBLISHED_USD_PER_MILLION)
    for model, price_id in used:
        row = prices[price_id]
        rates = [row[f"{what}_usd_per_token"] for what in ("input", "cache_read", "output")]
        published = [Decimal(rate) / 1_000_000 for rate in PUBLISHED_USD_PER_MILLION[model]]
        assert [Decimal(rate) for rate in rates] == published


def test_means_are_those_of_the_traces(demo: Demo) -> None:
    costs: defaultdict[tuple[str, str], list[Decimal]] = defaultdict(list)
    for trace in demo.report["traces"]:
        costs[trace["route"], trace["variant"]].append(Decimal(trace["cost_usd"]))
    means = {(r["route"], r["variant"]): Decimal(r["mean_cost_usd"]) for r in demo.report["costs"]}
    assert means.keys() == costs.keys()
    assert len(means) == 4
    for key, amounts in costs.items():
        assert means[key] == pytest.approx(sum(amounts) / len(amounts), abs=Decimal("1e-20"))


def test_all_that_was_sent_is_stored(demo: Demo) -> None:
    sent, stored = demo.report["sent"], demo.report["stored"]
    assert sent["traces"] == TRACES
    assert {name: stored[name] for name in sent} == sent
    assert stored["calls"] == len(demo.calls) == sum(t["calls"] for t in demo.report["traces"])


def test_traffic_has_the_announced_mix(demo: Demo) -> None:
    traces = demo.report["traces"]
    assert Counter(t["variant"] for t in traces) == {"teacher": 150, "student": 150}
    closures = [t for t in traces if t["cohort"] == "account-closure"]
    assert len(closures) == TRACES // 10
    assert {t["route"] for t in closures} == {"refunds"}


def test_student_fails_on_account_closure_while_the_average_looks_healthy(demo: Demo) -> None:
    rates = {
        (row["slice"], row["variant"]): row["fail_rate"]
        for row in demo.report["fail_rates"]
        if row["route"] == "refunds" and row["score"] == "json_valid"
    }
    assert rates["account-closure", "student"] > rates["account-closure", "teacher"] + 0.15
    assert abs(rates["all", "student"] - rates["all", "teacher"]) < 0.06


def test_student_is_cheaper_and_faster(demo: Demo) -> None:
    costs = {(r["route"], r["variant"]): Decimal(r["mean_cost_usd"]) for r in demo.report["costs"]}
    assert costs["refunds", "student"] < costs["refunds", "teacher"] / 5
    median_ms = {
        (row["route"], row["cohort"], row["variant"]): row["latency_ms"][0]
        for row in demo.report["route_stats"]
    }
    assert median_ms["refunds", "standard", "student"] < median_ms["refunds", "standard", "teacher"]


def test_every_signal_names_its_comparison(demo: Demo) -> None:
    signals = demo.report["signals"]
    assert {row["route"] for row in signals} == {"refunds", "faq"}
    assert {(row["baseline"], row["candidate"]) for row in signals} == {("teacher", "student")}


def test_it_prints_tables_their_sql_and_the_store(demo: Demo) -> None:
    for text in ("Cost per trace", "Route statistics", "Signals", "SELECT", "tollway sql --store"):
        assert text in demo.printed
    assert demo.report["store"] in demo.printed
    assert "\x1b[" not in demo.printed


@pytest.mark.slow
def test_full_demo_raises_cheaper_but_worse(tmp_path: Path) -> None:
    demo = _run_demo(tmp_path, 1500)
    alarms = [s for s in demo.report["signals"] if s["state"] == "CHEAPER_BUT_WORSE"]
    assert ("refunds", "account-closure", "student") in {
        (alarm["route"], alarm["cohort"], alarm["candidate"]) for alarm in alarms
    }
    assert {alarm["route"] for alarm in alarms} == {"refunds"}
    worse = {s["cohort"] for s in demo.report["signals"] if s["state"] == "REGRESSED"}
    assert {cohort for cohort in worse if not cohort.startswith("builtin:")} == {"account-closure"}
    assert "CHEAPER_BUT_WORSE" in demo.printed


def test_folder_in_use_ends_with_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    ended = _run([*CLI, "demo", "--data", str(tmp_path)])
    assert ended.returncode != 0
    assert ended.stdout == ""
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "not empty" in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_the_children_too(tmp_path: Path, number: signal.Signals) -> None:
    with _playing(tmp_path) as demo:
        children = _children(demo.pid)
        demo.send_signal(number)
        printed, errors = demo.communicate(timeout=DEADLINE_S)
    assert demo.returncode == 130, printed + errors
    assert len(children) == 3
    assert not any(_is_alive(pid) for pid in children)
    assert "Interrupted" in printed


@pytest.mark.slow
def test_death_of_the_processor_ends_with_one_clear_line(tmp_path: Path) -> None:
    with _playing(tmp_path) as demo:
        children = _children(demo.pid)
        holder = json.loads((tmp_path / "data" / "tollway.lock").read_text(encoding="utf-8"))
        os.kill(holder["pid"], signal.SIGKILL)
        printed, errors = demo.communicate(timeout=DEADLINE_S)
    assert demo.returncode == 1, printed + errors
    assert errors.splitlines()[-1] == "tollway: The demo's processor was ended by signal 9."
    assert "Traceback" not in errors
    assert not any(_is_alive(pid) for pid in children)


@contextlib.contextmanager
def _playing(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a demo that has begun its traffic; it is ended with the block if need be."""
    with subprocess.Popen(
        [*CLI, "demo", "--data", str(folder / "data"), "--traces", "400"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as demo:
        try:
            assert demo.stdout is not None
            assert demo.stdout.readline().startswith("traffic:")
            yield demo
        finally:
            demo.terminate()


def _run_demo(folder: Path, traces: int) -> Demo:
    data, report = folder / "demo-data", folder / "report.json"
    ended = _run(
        [*CLI, "demo", "--json", str(report), "--data", str(data), "--traces", str(traces)]
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return Demo(
        printed=ended.stdout,
        report=json.loads(report.read_text(encoding="utf-8")),
        calls=_sql(data, CALLS_SQL),
        prices=_sql(data, PRICES_SQL),
    )


def _sql(data: Path, sql: str) -> list[dict[str, Any]]:
    ended = _run([*CLI, "sql", "--store", f"chdb:{data}", "--format", "JSONEachRow", sql])
    assert ended.returncode == 0, ended.stderr
    return [_text_decimals(line) for line in ended.stdout.splitlines()]


def _text_decimals(line: str) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(line, parse_float=str)
    return row


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def _cost(call: dict[str, Any], price: dict[str, Any]) -> Decimal:
    """Work out a call's cost in USD from its tokens; the inclusive input is split first."""
    cached = call["cache_read_tokens"] or 0
    tokens = (call["input_tokens"] - cached, cached, call["output_tokens"])
    rates = [price[f"{what}_usd_per_token"] for what in ("input", "cache_read", "output")]
    return sum((n * Decimal(rate) for n, rate in zip(tokens, rates, strict=True)), Decimal(0))


def _children(pid: int) -> list[int]:
    return list(_child_ids(pid))


def _child_ids(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield from map(int, (task / "children").read_text(encoding="ascii").split())


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
