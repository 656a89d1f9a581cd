"""`tollway top` and /metrics of a real processor that stores, refuses and rolls up."""

from __future__ import annotations

import errno
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from tollway_processor.ingest.metrics import HELP

TOLLWAY = (sys.executable, "-m", "tollway_processor.cli")
DEADLINE_S = 60


@pytest.fixture(scope="module")
def served(serve_module):
    processor = serve_module()
    assert processor.post(request_of(1, 2, 3))[0] == 200
    assert processor.post(request_of(0, 4))[0] == 200  # one of the two has no valid id
    assert processor.post(b"\xff")[0] == 400
    return processor


def request_of(*numbers):
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    for number in numbers:
        spans.add(
            trace_id=number.to_bytes(16, "big"), span_id=(1).to_bytes(8, "big"), name="chat",
            start_time_unix_nano=time.time_ns(), end_time_unix_nano=time.time_ns() + 1,
        )  # fmt: skip
    return message.SerializeToString()


def families(served):
    page = served.get("/metrics")[1]
    return {family.name: family for family in text_string_to_metric_families(page)}


def test_metrics_are_what_prometheus_reads_and_all_are_explained(served):
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        found = families(served)
        if "tollway_rollup_seconds" in found and found["tollway_store_parts"].samples[0].value > 0:
            break
    for family in found.values():
        assert family.documentation, family.name
    suffixed = {name.removesuffix("_total") for name in HELP}
    absent = {
        "tollway_alert_failures", "tollway_alerts", "tollway_commits_split", "tollway_dead_letters",
        "tollway_rollup_failures",
    }  # fmt: skip
    assert set(found) == suffixed - absent, "what never happened has no series yet"
    assert found["tollway_items"].samples[0].value == 4
    assert found["tollway_retention_seconds"].samples[0].value == 400 * 86_400
    assert found["tollway_rollup_lag_seconds"].samples[0].value < DEADLINE_S


def test_once_prints_text(served, tollway):
    for flags in (["--url", served.http], ["--store", served.store]):
        told = tollway("top", "--once", *flags)
        assert told.returncode == 0, told.stderr
        assert re.search(r"^spans +\d+\.\d /s, 4 since the start$", told.stdout, re.M)
        assert re.search(r"^refused +1 traces requests, malformed", told.stdout, re.M)
        assert re.search(r"^ +1 traces items, trace id is all zero", told.stdout, re.M)
        for title in ("batch size", "commit time", "queue", "in flight", "dead letters",
                      "engine memory", "roll-up lag", "store"):  # fmt: skip
            assert re.search(rf"^{title} ", told.stdout, re.M), told.stdout
        assert "\x1b" not in told.stdout


def test_terminal_shows_it_live_until_ctrl_c(served):
    master, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        [*TOLLWAY, "top", "--url", served.http], stdin=terminal, stdout=terminal, stderr=terminal,
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


def test_nobody_there_is_one_line(tollway):
    told = tollway("top", "--url", "http://127.0.0.1:9")
    assert (told.returncode, len(told.stderr.splitlines())) == (1, 1)
    assert "no processor answers" in told.stderr
