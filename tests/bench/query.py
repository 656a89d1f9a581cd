"""How long questions take on many spans: Tollway's tables beside the OTel Collector's, in one engine.

The rows of both come from the same numbers() inside the engine: agents' traces of five spans (a root,
three model calls, a tool), spread over 30 days. `--spans 50_000_000` is the size of the goals.
"""

from __future__ import annotations

import argparse
import gc
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import query_tables as tables

from tollway_processor.questions import SETTINGS, Question
from tollway_processor.signals.rollup import Rollup
from tollway_processor.store.config import MIB, EngineConfig
from tollway_processor.store.embedded import EmbeddedStore

LOAD = EngineConfig(fsync=False, memory_bytes=10 * 1024 * MIB)
WARM_RUNS = 5
SIZES = """
SELECT sum(bytes_on_disk) AS bytes
FROM system.parts
WHERE active AND database = currentDatabase() AND table IN {tables:Array(String)}
"""


class Times(NamedTuple):
    """The first run of a question and the median of the next ones: ms of time, ms of CPU."""

    first_ms: float
    warm_ms: float
    warm_cpu_ms: float


def main() -> None:
    """Generate, measure, print a table in Markdown."""
    given = _given()
    folder = Path(given.folder or tempfile.mkdtemp(prefix="tollway-bench-"))
    try:
        if not (folder / "data").exists():
            _load(folder, given.spans, given.days, not given.no_peer)
        if given.load_only:
            return
        store = EmbeddedStore(folder, engine=EngineConfig(fsync=False))
        try:
            _report(store, given)
        finally:
            store.close()
    finally:
        if not given.folder:
            shutil.rmtree(folder)


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=2_000_000, help="spans (default 2,000,000)")
    parser.add_argument("--days", type=int, default=30, help="days they are spread over")
    parser.add_argument("--folder", help="keep the stores here, and use what is there")
    parser.add_argument("--load-only", action="store_true", help="generate and leave")
    parser.add_argument("--no-peer", action="store_true", help="without the Collector's tables")
    return parser.parse_args()


def _load(folder: Path, spans: int, days: int, has_peer: bool) -> None:
    store = EmbeddedStore(folder, engine=LOAD)
    per_day = spans // days // tables.SPANS_A_TRACE
    first_day = int(time.time()) // 86_400 - days
    names = list(tables.TOLLWAY) + (list(tables.COLLECTOR) if has_peer else [])
    if has_peer:
        for statement in tables.COLLECTOR_TABLES:
            store.command(statement)
    for ahead in range(days):
        started = time.monotonic()
        for name in names:
            sql, is_copy = tables.again(name) if ahead else (tables.statement(name), False)
            day = {"day": first_day + (0 if is_copy else ahead)}
            more = {"ahead": ahead} if is_copy else {"first": 0, "traces": per_day}
            store.command(sql, day | more)
        print(f"day {ahead + 1} of {days}: {time.monotonic() - started:.1f} s", flush=True)
    store.close()


def _report(store: EmbeddedStore, given: argparse.Namespace) -> None:
    ids = _some_ids(store)
    print(
        f"\n{given.spans:,} spans, {given.days} days; first run, median of {WARM_RUNS} more; ms\n"
    )
    print("| question | first | median | CPU | Collector: first | median | CPU |")
    print("|---|---|---|---|---|---|---|")
    for title, name, parameters, peer in tables.questions():
        asked = Question.named(name)
        times = list(_times(store, asked.sql, [_bound(asked, parameters, each) for each in ids]))
        if not given.no_peer:
            since_s = int(time.time()) - int(parameters.get("since", "7d")[:-1]) * 86_400
            times += _times(store, peer, [{"trace": each, "since_s": since_s} for each in ids])
        print(f"| {title} | {' | '.join(f'{ms:,.0f}' for ms in times)} |", flush=True)
    for title, names in (("Tollway", tables.TOLLWAY_NAMES), ("Collector", tables.COLLECTOR_NAMES)):
        (size,) = store.rows(SIZES, {"tables": names})
        print(
            f"\non disk, {title}: {int(str(size['bytes'])) / given.spans:,.0f} bytes a span", end=""
        )
    print("\n")
    _measure_step(store)


def _some_ids(store: EmbeddedStore) -> list[str]:
    rows = store.rows(
        "SELECT trace_id FROM traces FINAL WHERE started_at > now() - INTERVAL 20 DAY "
        "ORDER BY cityHash64(trace_id) LIMIT 12"
    )
    return [str(row["trace_id"]) for row in rows]


def _bound(question: Question, parameters: dict[str, str], trace_id: str) -> dict[str, object]:
    told = {name: trace_id if value == "@trace" else value for name, value in parameters.items()}
    return question.bound(told)


def _times(store: EmbeddedStore, sql: str, parameters: Sequence[dict[str, object]]) -> Times:
    took, used = [], []
    for bound in parameters[: WARM_RUNS + 1]:
        gc.collect()
        cpu_s, started = _cpu_s(), time.perf_counter()
        store.query(sql, bound, format="Native", settings=SETTINGS)
        took.append((time.perf_counter() - started) * 1000)
        used.append((_cpu_s() - cpu_s) * 1000)
    return Times(took[0], statistics.median(took[1:]), statistics.median(used[1:]))


def _measure_step(store: EmbeddedStore) -> None:
    """Time a step of the roll-up over new traces, and over as many of all ages."""
    rollup = Rollup(store)
    rollup.run()
    for title, name in (("new traces", "new_traces"), ("traces of all days", "old_traces")):
        _bring(store, name)
        cpu_s, started = _cpu_s(), time.perf_counter()
        rollup.run()
        took_s = time.perf_counter() - started
        print(f"roll-up of 1,000 {title}: {took_s:.2f} s, {_cpu_s() - cpu_s:.2f} CPU-seconds")


def _bring(store: EmbeddedStore, name: str) -> None:
    """Store spans of 1,000 traces as a commit would, touching the traces."""
    today = int(time.time()) // 86_400
    before = "SELECT now64(9) AS at"
    at = store.rows(before)[0]["at"]
    numbers = {"day": today, "first": 10**9, "traces": 1000}
    store.command(tables.step(name), numbers if name == "new_traces" else None)
    store.command(tables.TOUCH, {"at": at})


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
