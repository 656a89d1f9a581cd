"""Own the contender Rotel of the ingest benchmark: a Rust collector in front of the same engine.

Its ClickHouse exporter sends RowBinary to the writable SQL door. The table is the one that the
OpenTelemetry exporters for ClickHouse create, skip indexes included; "bare" leaves those out.
Install it with `python tests/bench/peers.py rotel`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import clickhouse_connect
import ingest_load
from clickhouse_connect.driver.client import Client
from ingest_meters import cpu_s, free_port, is_open, memory_bytes, until, wait_until_quiet
from ingest_result import Result
from ingest_settle import settle
from peers import PEERS

_ROUND = 32  # requests: two of its batches
_PATIENCE_S = 60.0
_MAP = "Map(LowCardinality(String), String)"
_ZSTD = "CODEC(ZSTD(1))"
_TRACES = f"""
CREATE TABLE otel_traces
(
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId String {_ZSTD}, SpanId String {_ZSTD}, ParentSpanId String {_ZSTD},
    TraceState String {_ZSTD},
    SpanName LowCardinality(String) {_ZSTD}, SpanKind LowCardinality(String) {_ZSTD},
    ServiceName LowCardinality(String) {_ZSTD}, ResourceAttributes {_MAP} {_ZSTD},
    ScopeName String {_ZSTD}, ScopeVersion String {_ZSTD}, SpanAttributes {_MAP} {_ZSTD},
    Duration UInt64 {_ZSTD}, StatusCode LowCardinality(String) {_ZSTD}, StatusMessage String {_ZSTD},
    Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes {_MAP}) {_ZSTD},
    Links Nested (TraceId String, SpanId String, TraceState String, Attributes {_MAP}) {_ZSTD}
    /* indexes */
)
ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, SpanName, Timestamp)
SETTINGS ttl_only_drop_parts = 1
"""
_INDEXES = """,
    INDEX by_trace TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_resource_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_resource_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_span_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_span_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_duration Duration TYPE minmax GRANULARITY 1"""
_TRACE_TIMES = (
    f"""
CREATE TABLE otel_traces_trace_id_ts
(
    TraceId String {_ZSTD}, Start DateTime64(9) CODEC(Delta, ZSTD(1)),
    End DateTime64(9) CODEC(Delta, ZSTD(1)),
    INDEX by_trace TraceId TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Start)
ORDER BY (TraceId, Start)
SETTINGS ttl_only_drop_parts = 1
""",
    """
CREATE MATERIALIZED VIEW otel_traces_trace_id_ts_mv TO otel_traces_trace_id_ts AS
SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End
FROM otel_traces
WHERE TraceId != ''
GROUP BY TraceId
""",
)


def agent() -> Path | None:
    """Return Rotel's program, None when it is not installed."""
    return next(iter(PEERS.glob("rotel/lib/python*/site-packages/rotel/rotel-agent")), None)


@contextmanager
def _door(folder: Path) -> Iterator[tuple[int, Client]]:
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("ingest_door.py")), str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        port = int(url.rpartition(":")[2].strip("/"))
        client = clickhouse_connect.get_client(host="127.0.0.1", port=port)
        yield process.pid, client
        client.close()
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


@contextmanager
def _rotel(program: Path, door_url: str, log: Path) -> Iterator[tuple[int, dict[str, str]]]:
    addresses = {name: f"127.0.0.1:{free_port()}" for name in ("http", "grpc")}
    with open(log, "wb") as told:
        process = subprocess.Popen(
            [
                str(program), "start",
                "--otlp-http-endpoint", addresses["http"],
                "--otlp-grpc-endpoint", addresses["grpc"],
                "--exporter", "clickhouse",
                "--clickhouse-exporter-endpoint", door_url,
                "--clickhouse-exporter-database", "default",
                # Over the loopback its LZ4 would only cost both sides; and a commit is a commit.
                "--clickhouse-exporter-compression", "none",
                "--clickhouse-exporter-async-insert", "false",
            ],
            stdout=told, stderr=told,
            env={name: value for name, value in os.environ.items() if "PROXY" not in name.upper()},
        )  # fmt: skip
    try:
        until(lambda: all(map(is_open, addresses.values())), f"Rotel, see {log}")
        yield process.pid, addresses | {"http": f"http://{addresses['http']}"}
    finally:
        process.terminate()
        process.wait(30)


def rotel(
    folder: Path, templates: Path, *, protocol: str, connections: int, requests: int, seed: int,
    is_bare: bool = False,
) -> Result:  # fmt: skip
    """Send the load to Rotel and wait until all of it is in the engine, merged.

    In rounds, each waited for: it answers what it has only queued, and an engine that falls five
    seconds behind makes it time out and store twice.
    """
    program = agent()
    if program is None:
        raise RuntimeError("Rotel is not installed: python tests/bench/peers.py rotel")
    log = folder.with_suffix(".log")
    with _door(folder) as (engine_pid, client):
        client.command(_TRACES.replace("/* indexes */", "" if is_bare else _INDEXES))
        for sql in () if is_bare else _TRACE_TIMES:
            client.command(sql)
        with _rotel(program, client.url, log) as (pid, addresses):
            idle_bytes = memory_bytes(pid, engine_pid)
            before_s, engine_before_s = cpu_s(pid), cpu_s(engine_pid)
            loads = []
            for turn, count in enumerate(_rounds(requests)):
                loads.append(
                    ingest_load.run(
                        addresses[protocol], templates, protocol=protocol, seed=seed * 1000 + turn,
                        connections=connections, requests=count,
                    )
                )  # fmt: skip
                if not _has_stored(client, sum(load.spans for load in loads)):
                    break
            load, stored = ingest_load.together(loads), _stored(client)
            wait_until_quiet(pid, engine_pid)
            ran_s, engine_s = cpu_s(pid) - before_s, cpu_s(engine_pid) - engine_before_s
            peak_bytes = memory_bytes(pid, engine_pid, name="VmHWM")
    tables = ("otel_traces",) if is_bare else ("otel_traces", "otel_traces_trace_id_ts")
    settled = settle(folder, tables)
    return Result(
        "Rotel, its table without indexes" if is_bare else "Rotel",
        load._replace(spans=min(load.spans, stored)),
        cpu_s=ran_s + engine_s + settled.cpu_s, loaded_cpu_s=ran_s + engine_s,
        idle_bytes=idle_bytes, peak_bytes=peak_bytes,
        disk_bytes=sum(settled.bytes[table] for table in tables),
        note=f"{ran_s / (ran_s + engine_s + settled.cpu_s):.0%} of the CPU in the collector; answers "
        f"before it stores{_difference(load.spans, stored)}",
    )  # fmt: skip


def _has_stored(client: Client, spans: int) -> bool:
    """Wait until the spans are in the engine; False when they do not come."""
    try:
        return until(lambda: _stored(client) >= spans, "Rotel", deadline_s=_PATIENCE_S)
    except RuntimeError:
        return False


def _difference(answered: int, stored: int) -> str:
    if stored == answered:
        return ""
    kind = "never came" if stored < answered else "came twice"
    return f"; {abs(answered - stored):,} of {answered:,} spans {kind}"


def _rounds(requests: int) -> list[int]:
    return [min(_ROUND, requests - start) for start in range(0, requests, _ROUND)]


def _stored(client: Client) -> int:
    return int(str(client.command("SELECT count() FROM otel_traces")))
