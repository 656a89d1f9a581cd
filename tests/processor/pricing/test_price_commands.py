"""tollway prices and tollway reprice as a user runs them, beside a processor and without one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

TOLLWAY = (sys.executable, "-m", "tollway_processor.cli")
DEADLINE_S = 120


def run(*arguments):
    return subprocess.run(
        [*TOLLWAY, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@pytest.fixture
def serve(tmp_path: Path):
    """Run a processor; return what it published."""
    running = []

    def start(config: str) -> dict[str, str]:
        stop()
        (tmp_path / "tollway.toml").write_text(config)
        process = subprocess.Popen(
            [*TOLLWAY, "serve", "--store", f"chdb:{tmp_path / 'data'}", "--http", "127.0.0.1:0",
             "--grpc", "127.0.0.1:0", "--config", tmp_path / "tollway.toml"],
            stderr=subprocess.PIPE,
        )  # fmt: skip
        running.append(process)
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            assert process.poll() is None, process.stderr.read()
            text = (tmp_path / "data" / "tollway.lock").read_text() if (tmp_path / "data").exists() else ""  # fmt: skip
            told = json.loads(text or "{}")
            if told.get("http") and told["pid"] == process.pid:
                return told
            time.sleep(0.05)
        raise AssertionError("the processor never listened")

    def stop():
        for process in running:
            process.terminate()
            process.wait(DEADLINE_S)
            process.stderr.close()
        running.clear()

    yield start, stop
    stop()


def send(http: str, model: str) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{http}/v1/traces")))
    told = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": model, "gen_ai.usage.input_tokens": 1000, "tollway.route": model,
    }  # fmt: skip
    provider.get_tracer("tests").start_span("chat", attributes=told).end()
    provider.shutdown()


@pytest.mark.slow
def test_a_price_that_comes_late_is_applied_through_the_running_processor(serve, tmp_path):
    start, stop = serve
    store = ("--store", f"chdb:{tmp_path / 'data'}")
    send(start("")["http"], "student")
    missing = json.loads(run("prices", "missing", *store, "--format", "json").stdout)
    assert [(row["request_model"], row["calls"]) for row in missing] == [("student", 1)]

    held = start('[[prices]]\nmodel = "student"\ninput_usd_per_mtok = "0.5"\n')
    explained = run(
        "prices", "explain", "Student", "--provider", "vllm", *store, "--format", "json"
    )
    assert json.loads(explained.stdout)["price_id"] == "user:*/student:default:1970-01-01"
    assert run("prices", "explain", "stranger", *store).returncode == 1

    control = json.loads((tmp_path / "data" / "prices-control.json").read_text())
    assert (tmp_path / "data" / "prices-control.json").stat().st_mode & 0o077 == 0
    stranger = urllib.request.Request(
        f"{control['url']}/reprice", b"{}", {"Authorization": "Bearer x"}
    )
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(stranger)

    repriced = run("reprice", *store, "--format", "json")
    assert repriced.returncode == 0, repriced.stderr
    assert "1/1  1 of 1 changed" in repriced.stderr
    (report,) = json.loads(repriced.stdout)
    assert (report["model"], report["unpriced_since"], report["since_usd"]) == (
        "student",
        0,
        "0.0005",
    )
    end = time.monotonic() + DEADLINE_S
    while run("sql", *store, "SELECT cost_usd FROM traces").stdout.strip() != "0.0005":
        assert time.monotonic() < end
    assert held["http"]
    stop()
    assert not (tmp_path / "data" / "prices-control.json").exists()
    assert "No cost changed" in run("reprice", *store).stdout


@pytest.mark.slow
def test_wrong_prices_are_refused_at_the_start_by_name(tmp_path):
    config = tmp_path / "tollway.toml"
    config.write_text('[[prices]]\nmodel = "m"\ninput_usd_per_mtok = -1\n')
    refused = run("serve", "--store", f"chdb:{tmp_path / 'data'}", "--config", config)
    assert refused.returncode == 2
    assert "prices, row 1 (any provider, m)" in refused.stderr
    assert "Traceback" not in refused.stderr
    wrong = run("reprice", "--store", f"chdb:{tmp_path / 'data'}", "--from", "yesterday")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
