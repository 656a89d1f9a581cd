"""Own the ingest benchmark: Tollway, its baselines and its peer under the same load, one table.

`python tests/bench/ingest.py` takes about five minutes; `--quick` one; `--growth` instead fills a
store with 10 million spans and looks whether the rate falls. `--profile` adds the cost per stage.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import ingest_growth
import ingest_profile
import ingest_requests
import ingest_start
from ingest_engine import baseline
from ingest_result import HEADINGS, Result, table
from ingest_rotel import agent, rotel
from ingest_tollway import tollway

Run = Callable[[Path], Result]
Load = tuple[str, int, int]
"""Protocol, connections, requests of all of them together."""
_LOADS = (("http", 1, 48), ("http", 8, 128), ("http", 64, 256), ("grpc", 1, 48), ("grpc", 8, 128),
          ("grpc", 64, 256))  # fmt: skip
_QUICK = (("http", 8, 64), ("http", 64, 128))
_BASELINE_REQUESTS = 96


def _runs(work: Path, loads: tuple[Load, ...]) -> list[tuple[str, Run]]:
    """Every run as (its load in words, what runs it in a folder)."""
    otel, mixed = (work / f"{name}.templates" for name in ingest_requests.SETS)
    runs: list[tuple[str, Run]] = []

    def add(words: str, templates: Path, load: Load, *, has_rollup: bool = True) -> None:
        protocol, connections, requests = load
        told = {"protocol": protocol, "connections": connections, "requests": requests}
        runs.append(
            (
                words,
                lambda folder: tollway(folder, templates, **told, seed=1, has_rollup=has_rollup),
            )
        )

    for load in loads:
        add(f"otel, {load[0]} x {load[1]}", otel, load)
    busiest = ("http", 64, loads[-1][2])
    add("otel, http x 64", otel, busiest, has_rollup=False)
    add("mixed, http x 64", mixed, busiest)
    peer = {"protocol": "http", "connections": 8, "requests": loads[-1][2] // 2}
    if agent() is not None:
        for is_bare in (False, True):
            runs.append(
                (
                    "otel, http x 8",
                    lambda folder, is_bare=is_bare: rotel(
                        folder, otel, **peer, seed=1, is_bare=is_bare
                    ),
                )
            )
    for kind in ("native", "python"):
        runs.append(
            (
                "otel, no network",
                lambda folder, kind=kind: baseline(
                    kind, folder, otel, requests=_BASELINE_REQUESTS, seed=1
                ),
            )
        )
    return runs


def _ratios(results: list[Result]) -> str:
    """The targets that are ratios of spans per CPU second, on the plain set."""
    ours = [
        result
        for result in results
        if result.contender.startswith("Tollway") and result.what == "otel, http x 64"
    ]
    others = [result for result in results if not result.contender.startswith("Tollway")]
    rows = [
        (other.contender, *(f"{result.per_cpu_s / other.per_cpu_s:.2f}" for result in ours))
        for other in others
    ]
    return table(("spans per CPU-s as a multiple of", *(r.contender for r in ours)), rows)


def _measure(work: Path, loads: tuple[Load, ...]) -> None:
    results = []
    for words, run in _runs(work, loads):
        with tempfile.TemporaryDirectory(dir=work) as folder:
            result = run(Path(folder) / "store")
        result.what = words
        results.append(result)
        print(f"{result.contender}, {words}: {result.per_cpu_s:,.0f} a CPU-s", file=sys.stderr)
    print(table(HEADINGS, [result.cells() for result in results]))
    print()
    print(_ratios(results))


def main() -> int:
    """Run what the command line asks for and print it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter loads")
    parser.add_argument("--profile", action="store_true", help="only the cost per stage")
    parser.add_argument("--growth", action="store_true", help="only the growth to many spans")
    parser.add_argument("--rows", type=int, default=10_000_000, help="spans for --growth")
    parser.add_argument("--folder", type=Path, help="where the stores go, else a temporary one")
    told = parser.parse_args()
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}\n")
    with tempfile.TemporaryDirectory(dir=told.folder) as folder:
        work = Path(folder)
        for name in ingest_requests.SETS:
            size = ingest_requests.save(name, work / f"{name}.templates")
            print(f"Set {name}: requests of {ingest_requests.SPANS} spans, {size:,} bytes a span")
        print()
        otel = work / "otel.templates"
        if told.growth:
            print(ingest_growth.report(work, otel, told.rows))
        elif told.profile:
            print(ingest_profile.report(work, otel))
        else:
            _measure(work, _QUICK if told.quick else _LOADS)
            print()
            print(ingest_start.report(work))
            print()
            print(ingest_profile.report(work, otel))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
