"""`tollway top` and /metrics of a real processor that stores, refuses and rolls up."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from tollway_processor.ingest.metrics import HELP

TOLLWAY = (sys.executable, "-m", "tollway_processor.cli")
DEADLINE_S = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("top") / "store"


@pytest.fixture(scope="module")
def url(folder):
    process = subprocess.Popen(
        [*TOLLWAY, "serve", "--store", f"chdb:{folder}", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for line in process.stderr:
            if line.startswith("tollway serves"):
                break
        address = json.loads((folder / "tollway.lock").read_text())["http"]
        assert post(address, request_of(1, 2, 3)) == 200
        assert post(address, request_of(0, 4)) == 200  # one of the two has no valid id
        assert post(address, b"\xff") == 400
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE_S)


def request_of(*numbers):
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    for number in numbers:
        spans.add(
            trace_id=number.to_bytes(16, "big"), span_id=(1).to_bytes(8, "big"), name="chat",
            start_time_unix_nano=time.time_ns(), end_time_unix_nano=time.time_ns() + 1,
        )  # fmt: skip
    return message.SerializeToString()


def post(url, body):
    headers = {"Content-Type": "application/x-protobuf"}
    request = urllib.request.Request(f"{url}/v1/traces", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def families(url):
    with urllib.request.urlopen(f"{url}/metrics", timeout=DEADLINE_S) as answer:
        return {f.name: f for f in text_string_to_metric_families(answer.read().decode())}


def test_metrics_are_what_prometheus_reads_and_all_are_explained(url):
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        found = families(url)
        if "tollway_rollup_seconds" in found and found["tollway_store_parts"].samples[0].value > 0:
            break
    for family in found.values():
        assert family.documentation, family.name
    suffixed = {name.removesuffix("_total") for name in HELP}
    absent = {"tollway_commits_split", "tollway_dead_letters", "tollway_rollup_failures"}
    assert set(found) == suffixed - absent, "what never happened has no series yet"
    assert found["tollway_items"].samples[0].value == 4
    assert found["tollway_retention_seconds"].samples[0].value == 400 * 86_400
    assert found["tollway_rollup_lag_seconds"].samples[0].value < DEADLINE_S


def test_once_prints_text(url, folder):
    for flags in (["--url", url], ["--store", f"chdb:{folder}"]):
        told = subprocess.run(
            [*TOLLWAY, "top", "--once", *flags],
            capture_output=True, text=True, timeout=DEADLINE_S, check=True,
        )  # fmt: skip
        assert re.search(r"^spans +\d+\.\d /s, 4 since the start$", told.stdout, re.M)
        assert re.search(r"^refused +1 traces requests, malformed", told.stdout, re.M)
        assert re.search(r"^ +1 traces items, trace id is all zero", told.stdout, re.M)
        for title in ("batch size", "commit time", "queue", "in flight", "dead letters",
                      "engine memory", "roll-up lag", "store"):  # fmt: skip
            assert re.search(rf"^{title} ", told.stdout, re.M), told.stdout
        assert "\x1b" not in told.stdout


def test_terminal_shows_it_live_until_ctrl_c(url):
    master, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        [*TOLLWAY, "top", "--url", url], stdin=terminal, stdout=terminal, stderr=terminal,
        env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    screen = b""
    end = time.monotonic() + DEADLINE_S
    try:
        while screen.count(b"roll-up lag") < 2 and time.monotonic() < end:
            if select.select([master], [], [], 1.0)[0]:
                screen += os.read(master, 65_536)
        assert screen.count(b"roll-up lag") >= 2, screen
        assert b"4 since the start" in screen
        process.send_signal(signal.SIGINT)
        drain(master)
        assert process.wait(DEADLINE_S) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(master)


def drain(master):
    """Read what is left: a terminal whose buffer is full would keep the process."""
    try:
        while os.read(master, 65_536):
            continue
    except OSError as error:
        if error.errno != errno.EIO:  # Linux's word for a terminal that was left
            raise


def test_nobody_there_is_one_line(tmp_path):
    told = subprocess.run(
        [*TOLLWAY, "top", "--url", "http://127.0.0.1:9"],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (told.returncode, len(told.stderr.splitlines())) == (1, 1)
    assert "no processor answers" in told.stderr
