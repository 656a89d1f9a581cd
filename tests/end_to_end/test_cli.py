"""The command line as a user meets it: real processes, real sockets, one clear line on failure."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

TOLLWAY = (sys.executable, "-m", "tollway_processor.cli")
LOOPBACK = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
DEADLINE_S = 60


def run(*arguments, **options):
    return subprocess.run(
        [*TOLLWAY, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        **options,
    )


def until(condition, what):
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"never saw {what}")


@contextmanager
def serving(folder: Path, *flags):
    process = subprocess.Popen(
        [*TOLLWAY, "serve", "--store", f"chdb:{folder}", *LOOPBACK, *flags],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def published():
        assert process.poll() is None, process.stderr.read()
        try:
            told = json.loads((folder / "tollway.lock").read_text())
        except (OSError, ValueError):
            return None
        return told if told.get("http") and told["pid"] == process.pid else None

    try:
        yield process, until(published, "the processor's addresses")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE_S)
        process.stderr.close()


def send_calls(http_url, number, route="cli"):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{http_url}/v1/traces")))
    tracer = provider.get_tracer("tests")
    for _ in range(number):
        attributes = {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 10, "tollway.route": route, "tollway.variant": "v",
        }  # fmt: skip
        tracer.start_span("chat gpt-4o", attributes=attributes).end()
    provider.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cli") / "store"


@pytest.fixture(scope="module")
def served(folder):
    with serving(folder) as (_, addresses):
        send_calls(addresses["http"], 3)
        yield addresses


def test_health_is_answered_once_the_store_is_open(served):
    with urllib.request.urlopen(f"{served['http']}/healthz") as answer:
        assert answer.status == 200


def test_sql_works_beside_the_running_processor(served, folder):
    told = run("sql", "--store", f"chdb:{folder}", "SELECT count() FROM spans WHERE route = 'cli'")
    assert (told.returncode, told.stdout) == (0, "3\n")


def test_sql_format_is_clickhouses(served, folder):
    told = run("sql", "--store", f"chdb:{folder}", "SELECT 1 AS one", "--format", "JSONEachRow")
    assert json.loads(told.stdout) == {"one": 1}


def test_refused_sql_is_one_line_and_exit_1(served, folder):
    told = run("sql", "--store", f"chdb:{folder}", "DROP TABLE spans")
    assert told.returncode == 1
    assert len(told.stderr.splitlines()) == 1
    assert told.stdout == ""


def test_costs_routes_and_signals_answer(served, folder):
    def rolled_up():
        told = run("costs", "--store", f"chdb:{folder}", "--format", "json")
        return [row for row in json.loads(told.stdout)["cost_by_route"] if row["traces"] == 3]

    (row,) = until(rolled_up, "the three traces")
    assert (row["route"], row["cost_usd"]) == ("cli", "0.00105")
    for command in ("costs", "routes", "signals"):
        told = run(command, "--store", f"chdb:{folder}")
        assert told.returncode == 0, told.stderr
    assert "cli" in run("routes", "--store", f"chdb:{folder}").stdout


def test_gate_without_the_variant_exits_3(served, folder):
    told = run(
        "gate", "--store", f"chdb:{folder}", "--route", "cli", "--baseline", "v", "--candidate", "w"
    )
    assert (told.returncode, len(told.stderr.splitlines())) == (3, 1)
    assert "no traces of variant w" in told.stderr


def test_second_processor_on_the_store_says_who_holds_it(served, folder):
    told = run("serve", "--store", f"chdb:{folder}", *LOOPBACK)
    assert (told.returncode, len(told.stderr.splitlines())) == (1, 1)
    assert f"pid {served['pid']}" in told.stderr


@pytest.mark.parametrize("flag", ["--http", "--grpc", "--sql"])
def test_busy_port_is_one_line_that_names_the_flag(tmp_path, flag):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        told = run("serve", "--store", f"chdb:{tmp_path / 's'}", *LOOPBACK, flag, address)
    assert told.returncode == 2
    assert len(told.stderr.splitlines()) == 1, told.stderr
    assert flag in told.stderr
    assert address in told.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "--bogus"], "--bogus"),
        ([], "COMMAND"),
        (["nonsense"], "nonsense"),
        (["serve", "--store", "mysql://x"], "chdb:PATH"),
        (["serve", "--http", "nowhere"], "--http"),
        (["serve", "--config", "missing.toml"], "missing.toml"),
        (["sql", "SELECT 1", "--store", "chdb:nowhere-here"], "no store"),
        (["costs", "--store", "chdb:x", "--since", "soon"], "--since"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(tmp_path, arguments, words):
    told = run(*arguments, cwd=tmp_path)
    assert told.returncode == 2
    assert len(told.stderr.splitlines()) == 1, told.stderr
    assert words in told.stderr


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("colour = 1", "colour"),
        ("[receive.limits]\nencoded_bytes = 'big'", "encoded_bytes"),
        ("retention_days = ", "is not TOML"),
    ],
)
def test_bad_config_names_the_file_and_the_key(tmp_path, toml, words):
    path = tmp_path / "tollway.toml"
    path.write_text(toml)
    told = run("serve", "--config", path, cwd=tmp_path)
    assert (told.returncode, len(told.stderr.splitlines())) == (2, 1)
    assert words in told.stderr
    assert "tollway.toml" in told.stderr


def test_unwritable_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    told = run("serve", "--store", f"chdb:{tmp_path / 'file' / 'store'}", *LOOPBACK)
    assert told.returncode != 0
    assert len(told.stderr.splitlines()) == 1, told.stderr
    assert "cannot write" in told.stderr


def test_missing_extra_is_named(tmp_path):
    # A finder that knows no chdb: what a base install looks like to the command line.
    code = (
        "import sys\n"
        "class Bare:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('chdb', 'msgspec'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Bare())\n"
        "from tollway_processor.cli import main\n"
        "sys.exit(main(['serve']))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (told.returncode, len(told.stderr.splitlines())) == (1, 1)
    assert "pip install 'tollway[processor]'" in told.stderr


def test_each_command_helps_with_an_example():
    listed = run("--help").stdout
    for command in (
        "serve", "sql", "costs", "routes", "signals", "gate", "demo", "migrate", "replay", "top",
    ):  # fmt: skip
        assert command in listed
        assert f"example: tollway {command}" in run(command, "--help").stdout


def test_flag_wins_over_environment_over_file(tmp_path):
    (tmp_path / "tollway.toml").write_text('store = "chdb:from-file"\n')
    for flags, environment, expected in (
        ([], {}, "from-file"),
        ([], {"TOLLWAY_STORE": "chdb:from-environment"}, "from-environment"),
        (["--store", "chdb:from-flag"], {"TOLLWAY_STORE": "chdb:from-environment"}, "from-flag"),
    ):
        told = run(
            "sql", "SELECT 1", "--config", "tollway.toml", *flags,
            cwd=tmp_path, env={**os.environ, **environment},
        )  # fmt: skip
        assert expected in told.stderr


def test_sigterm_stores_what_was_answered_and_exits_0(tmp_path):
    folder = tmp_path / "store"
    with serving(folder) as (process, addresses):
        send_calls(addresses["http"], 2, route="stopped")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    told = run("costs", "--store", f"chdb:{folder}", "--format", "json")
    (row,) = json.loads(told.stdout)["cost_by_route"]
    assert (row["route"], row["traces"]) == ("stopped", 2)


def test_json_log_is_one_object_a_line_and_rate_limited(tmp_path):
    with serving(tmp_path / "store", "--log-format", "json") as (process, addresses):
        for _ in range(50):
            request = urllib.request.Request(
                f"{addresses['http']}/v1/traces",
                b"\xff",
                {"Content-Type": "application/x-protobuf"},
            )
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request)
            refused.value.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
        lines = [json.loads(line) for line in process.stderr.read().splitlines()]
    assert lines[0]["message"].startswith("tollway serves chdb:")
    problems = [line for line in lines if line["level"] == "warning"]
    assert 1 <= len(problems) <= 3, "fifty refusals of one kind are no fifty lines"
    assert "refused traces, malformed" in problems[0]["message"]


def test_limits_of_the_config_reach_the_engine(tmp_path):
    config = tmp_path / "tollway.toml"
    config.write_text("[receive.limits]\nattribute_bytes = 5\n")
    folder = tmp_path / "store"
    with serving(folder, "--config", config) as (_, addresses):
        send_calls(addresses["http"], 1, route="a-long-route")
        told = run("sql", "--store", f"chdb:{folder}", "SELECT route FROM spans")
    assert told.stdout == "a-lon… [cut, 12 bytes]\n"
