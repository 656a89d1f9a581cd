"""`tollway replay` as an operator runs it: letters that can be stored go, the rest stay."""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tollway_processor.ingest.dead_letters import DeadLetter, DeadLetters

PROJECT_TOML = '[[receive.tokens]]\nproject = "checkout"\ntoken = "secret"\n'


def request_of(*trace_numbers):
    """A request of one span a trace; trace 0 has no valid id and is refused by itself."""
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    for number in trace_numbers:
        spans.add(
            trace_id=number.to_bytes(16, "big"), span_id=(1).to_bytes(8, "big"), name="chat",
            start_time_unix_nano=time.time_ns(), end_time_unix_nano=time.time_ns() + 1,
        )  # fmt: skip
    return message.SerializeToString()


def score_of(trace_number):
    message = ExportLogsServiceRequest()
    attribute = KeyValue(key="gen_ai.evaluation.name", value=AnyValue(string_value="json_valid"))
    message.resource_logs.add().scope_logs.add().log_records.add(
        trace_id=trace_number.to_bytes(16, "big"), event_name="gen_ai.evaluation.result",
        time_unix_nano=time.time_ns(), attributes=[attribute],
    )  # fmt: skip
    return message.SerializeToString()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def letters(folder):
    kept = DeadLetters(folder / "dead-letters")
    for body in (request_of(1, 2), b"\x0a\xffno request", request_of(0, 3), request_of(4)):
        kept.append(DeadLetter("traces", body, "", "once"))
    kept.append(DeadLetter("logs", score_of(1), "", "once"))
    return kept


def traces(tollway, folder):
    sql = "SELECT toUInt8(reinterpretAsUInt128(reverse(unhex(trace_id)))) FROM spans ORDER BY 1"
    told = tollway("sql", "--store", f"chdb:{folder}", sql)
    assert told.returncode == 0, told.stderr
    return [int(line) for line in told.stdout.split()]


def check_replayed(tollway, told, folder, letters):
    assert told.returncode == 1
    assert told.stderr.splitlines()[0] == "3 of 5 dead letters stored, 2 still there"
    assert traces(tollway, folder) == [1, 2, 3, 4]
    assert [letter.body for letter in letters.read()] == [b"\x0a\xffno request", mixed(letters)]
    assert "trace id is all zero" in list(letters.read())[1].cause
    scores = tollway("sql", "--store", f"chdb:{folder}", "SELECT name FROM scores")
    assert scores.stdout == "json_valid\n"


def mixed(letters):
    (body,) = [letter.body for letter in letters.read() if b"chat" in letter.body]
    return body


@pytest.mark.slow
def test_letters_go_straight_into_a_store_that_nobody_holds(tollway, folder, letters):
    assert tollway("migrate", "--store", f"chdb:{folder}").returncode == 0
    told = tollway("replay", "--store", f"chdb:{folder}")
    check_replayed(tollway, told, folder, letters)


@pytest.mark.slow
def test_letters_go_through_the_processor_that_holds_the_store(tollway, serve, folder, letters):
    serve(folder)
    told = tollway("replay", "--store", f"chdb:{folder}")
    check_replayed(tollway, told, folder, letters)
    again = tollway("replay", "--store", f"chdb:{folder}")
    assert again.stderr.splitlines()[0] == "0 of 2 dead letters stored, 2 still there"
    assert len(list(letters.read())) == 2, "a letter that fails again is no second letter"


@pytest.mark.slow
def test_all_stored_exits_0_and_keep_deletes_none(tollway, folder):
    kept = DeadLetters(folder / "dead-letters")
    kept.append(DeadLetter("traces", request_of(7), "", "once"))
    assert tollway("migrate", "--store", f"chdb:{folder}").returncode == 0
    before = [path.read_bytes() for path in kept.files()]
    told = tollway("replay", "--store", f"chdb:{folder}", "--keep")
    assert (told.returncode, "all still there" in told.stderr) == (0, True)
    assert [path.read_bytes() for path in kept.files()] == before
    assert tollway("replay", "--store", f"chdb:{folder}").returncode == 0
    assert not kept.files()
    assert traces(tollway, folder) == [7]
    told = tollway("replay", "--store", f"chdb:{folder}")
    assert (told.returncode, told.stderr) == (0, "there are no dead letters\n")


@pytest.mark.slow
def test_letter_of_a_project_goes_with_the_projects_token(tollway, serve, folder, tmp_path):
    config = tmp_path / "tollway.toml"
    config.write_text(PROJECT_TOML)
    kept = DeadLetters(folder / "dead-letters")
    kept.append(DeadLetter("traces", request_of(8), "checkout", "once"))
    kept.append(DeadLetter("traces", request_of(9), "unknown", "once"))
    serve(folder, PROJECT_TOML)
    told = tollway("replay", "--store", f"chdb:{folder}", "--config", config)
    rows = tollway("sql", "--store", f"chdb:{folder}", "SELECT project FROM spans")
    assert told.returncode == 1
    assert "1 of 2 dead letters stored" in told.stderr
    assert "no token of project 'unknown'" in told.stderr
    assert rows.stdout == "checkout\n"


def test_processor_that_does_not_answer_costs_no_letter(tollway, folder, letters):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    before = [letter.body for letter in letters.read()]
    told = tollway("replay", "--store", f"chdb:{folder}", "--url", f"http://127.0.0.1:{port}")
    assert told.returncode == 1
    assert "0 of 5 dead letters stored" in told.stderr
    assert "does not answer" in told.stderr
    assert [letter.body for letter in letters.read()] == before


@pytest.mark.slow
def test_processor_that_is_busy_is_asked_again_when_it_said(tollway, folder):
    kept = DeadLetters(folder / "dead-letters")
    kept.append(DeadLetter("traces", request_of(7), "", "once"))
    answers = [(503, "1"), (429, "1"), (200, "")]
    seen = []

    class Busy(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["Tollway-Replay"], body, time.monotonic()))
            status, delay = answers[len(seen) - 1]
            self.send_response(status)
            self.send_header("Retry-After", delay)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = tollway(
            "replay", "--store", f"chdb:{folder}", "--url", f"http://127.0.0.1:{server.server_port}"
        )
        server.shutdown()
    assert told.returncode == 0, told.stderr
    assert [entry[:3] for entry in seen] == [("/v1/traces", "1", request_of_same(seen))] * 3
    assert seen[2][3] - seen[0][3] >= 2
    assert not kept.files()


def request_of_same(seen):
    """The one body that was sent each time."""
    (body,) = {entry[2] for entry in seen}
    return body
