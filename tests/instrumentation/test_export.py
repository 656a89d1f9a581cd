"""Sending: over real sockets, to a receiver, to nobody, to one that hangs or comes back."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider

import tollway


class Receiver:
    """An OTLP/HTTP receiver that keeps what it gets."""

    def __init__(self, port: int = 0, status: int = 200) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.paths.append(self.path)
                receiver.headers.append(dict(self.headers))
                receiver.requests.append(ExportTraceServiceRequest.FromString(body))
                assert receiver.gate.wait(30), "the test never opened the gate"
                self.send_response(status)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                return None

        self.gate = threading.Event()
        self.gate.set()
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.requests: list[Any] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def names(self) -> list[str]:
        return [
            span.name
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.stop()


@pytest.fixture
def closed_url() -> str:
    """Return the URL of a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def _start(url: str, **more: Any) -> Any:
    return tollway.instrument(
        tracer_provider=TracerProvider(), endpoint=url, langchain=False, **more
    )


def _span(handle: Any, name: str) -> None:
    with handle.tracer_provider.get_tracer("app").start_as_current_span(name):
        pass


def test_spans_arrive_at_a_receiver(receiver: Receiver, wire: Any, samples: Any, ask: Any) -> None:
    handle = _start(receiver.url, headers={"authorization": "Bearer x"})
    with tollway.route("refunds"):
        ask(wire.says(samples.chat()).client())
    assert handle.flush()

    assert receiver.names() == ["chat gpt-4o-mini"]
    assert receiver.paths == ["/v1/traces"]
    assert {k.lower(): v for k, v in receiver.headers[0].items()}["authorization"] == "Bearer x"
    handle.shutdown()


@pytest.mark.parametrize("suffix", ["", "/", "/v1/traces"])
def test_base_url_and_full_url_both_work(receiver: Receiver, suffix: str) -> None:
    handle = _start(receiver.url + suffix)
    _span(handle, "a")
    assert handle.flush()
    handle.shutdown()

    assert receiver.paths == ["/v1/traces"]


@pytest.mark.parametrize(
    ("variable", "suffix"),
    [("OTEL_EXPORTER_OTLP_ENDPOINT", ""), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/v1/traces")],
)
def test_environment_names_the_endpoint(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, variable: str, suffix: str
) -> None:
    from tollway._export import ExportProcessor

    monkeypatch.setenv(variable, receiver.url + suffix)
    processor = ExportProcessor.build(endpoint=None, headers=None, protocol=None)
    processor.open()
    provider = TracerProvider()
    provider.add_span_processor(processor)
    provider.get_tracer("app").start_span("a").end()
    assert provider.force_flush()
    provider.shutdown()

    assert receiver.names() == ["a"]
    assert receiver.paths == ["/v1/traces"]


def test_shutdown_sends_what_is_left(receiver: Receiver) -> None:
    handle = _start(receiver.url)
    for i in range(20):
        _span(handle, str(i))
    handle.shutdown()
    handle.shutdown()

    assert len(receiver.names()) == 20


def test_again_after_shutdown(receiver: Receiver) -> None:
    provider = TracerProvider()
    for name in ("a", "b"):
        handle = tollway.instrument(
            tracer_provider=provider, endpoint=receiver.url, langchain=False
        )
        _span(handle, name)
        handle.shutdown()

    assert receiver.names() == ["a", "b"]


def test_nobody_listening_is_warned_of_once_and_holds_up_nothing(
    closed_url: str, caplog: pytest.LogCaptureFixture, wire: Any, samples: Any, ask: Any
) -> None:
    caplog.set_level(logging.WARNING)
    handle = _start(closed_url)
    client = wire.says(samples.chat()).client()
    for _ in range(3):
        assert ask(client).id == "chatcmpl-1"
        assert not handle.flush(0.2)
    began_s = time.monotonic()
    handle.shutdown()

    assert time.monotonic() - began_s < 5
    assert [record.name for record in caplog.records] == ["tollway"]
    assert closed_url in caplog.text
    assert "nobody listens" in caplog.text


def test_grpc_to_nobody_is_the_same(closed_url: str, caplog: pytest.LogCaptureFixture) -> None:
    handle = _start(closed_url, protocol="grpc")
    _span(handle, "a")
    assert not handle.flush(0.2)
    handle.shutdown()

    assert [record.name for record in caplog.records] == ["tollway"]


def test_receiver_that_refuses_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    refusing = Receiver(status=401)
    handle = _start(refusing.url)
    for _ in range(3):
        _span(handle, "a")
        assert not handle.flush(2)
    handle.shutdown()
    refusing.stop()

    assert [record.name for record in caplog.records] == ["tollway"]
    assert "401" in caplog.text


def test_receiver_that_starts_late_gets_everything(closed_url: str) -> None:
    handle = _start(closed_url)
    _span(handle, "early")
    with ThreadPoolExecutor(1) as pool:
        flushed = pool.submit(handle.flush, 8)
        late = Receiver(int(closed_url.rpartition(":")[2]))
        assert flushed.result()
    handle.shutdown()
    late.stop()

    assert late.names() == ["early"]


def test_receiver_that_comes_back_is_found_again(closed_url: str) -> None:
    handle = _start(closed_url)
    _span(handle, "lost")
    assert not handle.flush(0.1)
    back = Receiver(int(closed_url.rpartition(":")[2]))
    _span(handle, "found")
    assert handle.flush(5)
    handle.shutdown()
    back.stop()

    assert back.names() == ["found"]


def test_full_queue_while_nobody_listens_warns_no_more(
    closed_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    handle = _start(closed_url)
    tracer = handle.tracer_provider.get_tracer("app")
    for _ in range(12_000):
        tracer.start_span("a").end()
    assert not handle.flush(0.1)
    handle.shutdown()

    assert [record.name for record in caplog.records] == ["tollway"]


def test_content_heavy_batches_are_split(receiver: Receiver) -> None:
    handle = _start(receiver.url)
    tracer = handle.tracer_provider.get_tracer("app")
    for _ in range(10):
        span = tracer.start_span("big")
        span.set_attribute("gen_ai.input.messages", "x" * 900_000)
        span.end()
    assert handle.flush()
    handle.shutdown()

    assert len(receiver.names()) == 10
    assert all(request.ByteSize() < 4 * 1024 * 1024 for request in receiver.requests)


def test_no_thread_beside_the_sdk_s(receiver: Receiver, wire: Any, samples: Any, ask: Any) -> None:
    before = set(threading.enumerate())
    handle = _start(receiver.url)
    ask(wire.says(samples.chat()).client())
    new = set(threading.enumerate()) - before
    assert [thread.name for thread in new if not thread.name.startswith("OtelBatch")] == []
    handle.shutdown()


def test_receiver_that_is_slow_to_answer_loses_nothing(receiver: Receiver) -> None:
    handle = _start(receiver.url)
    receiver.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        _span(handle, "first")
        held = pool.submit(handle.flush)
        deadline_s = time.monotonic() + 30
        while not receiver.requests and time.monotonic() < deadline_s:
            time.sleep(0.01)
        for _ in range(6000):  # more than half of the queue, while one request is out
            _span(handle, "later")
        receiver.gate.set()
        assert held.result()
    assert handle.flush()
    handle.shutdown()
    assert len(receiver.names()) == 6001
