"""`instrument()` and `uninstrument()`: what they patch, when, onto which provider, and the undoing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import _base_client
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tollway

LIBRARY = Path(tollway.__file__).parents[1]


def _run(code: str, **environment: str) -> Any:
    """Run Python code in a fresh process; return the JSON it prints last, and what it logged."""
    path = os.pathsep.join([str(LIBRARY), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, **environment}
    env.pop("PYTEST_CURRENT_TEST", None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def _functions() -> list[Any]:
    return [
        _base_client.SyncAPIClient.__dict__["request"],
        _base_client.AsyncAPIClient.__dict__["request"],
        _base_client.BaseClient.__dict__["_calculate_retry_timeout"],
    ]


def test_public_names_are_those_of_all() -> None:
    visible = {name for name in vars(tollway) if not name.startswith("_")}
    modules = {
        "annotations",
        "attributes",
        "scores",
        "openai",
        "langchain",
        "instrumentors",
        "VERSION",
    }
    assert visible - modules == set(tollway.__all__) - {"__version__"}
    assert tollway.__version__


def test_import_brings_neither_sdk_nor_clients() -> None:
    code = """
import json, sys, tollway
heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "openai", "langchain_core", "wrapt", "grpc")
print(json.dumps([name for name in heavy if name in sys.modules]))
"""
    assert _run(code)[0] == []


def test_uninstrument_restores_the_very_same_functions(record: Any) -> None:
    before = _functions()
    record()
    assert all(now is not was for now, was in zip(_functions(), before, strict=True))
    tollway.uninstrument()
    assert all(now is was for now, was in zip(_functions(), before, strict=True))


def test_wrapped_functions_keep_name_and_signature(record: Any) -> None:
    import inspect

    before = inspect.signature(_base_client.SyncAPIClient.request)
    record()
    assert inspect.signature(_base_client.SyncAPIClient.request) == before
    assert _base_client.SyncAPIClient.request.__name__ == "request"
    assert inspect.iscoroutinefunction(_base_client.AsyncAPIClient.request)


def test_instrument_is_idempotent(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    assert tollway.instrument(langchain=False) is spans.handle
    assert tollway.instrument(langchain=False, capture_content=False) is spans.handle
    ask(wire.says(samples.chat()).client())

    assert len(spans.all()) == 1
    tollway.uninstrument()
    tollway.uninstrument()


def test_again_after_uninstrument(record: Any, wire: Any, samples: Any, ask: Any) -> None:
    client = wire.says(samples.chat()).client()
    first = record()
    tollway.uninstrument()
    ask(client)
    second = record()
    ask(client)

    assert first.all() == ()
    assert len(second.all()) == 1


def test_stamping_stops_with_uninstrument(spans: Any) -> None:
    tollway.uninstrument()
    with tollway.route("r"), spans.provider.get_tracer("x").start_as_current_span("x"):
        pass

    assert "tollway.route" not in spans.one().attributes


def test_openai_can_be_left_out(record: Any, wire: Any, samples: Any, ask: Any) -> None:
    before = _functions()
    spans = record(openai=False)
    ask(wire.says(samples.chat()).client())

    assert _functions() == before
    assert spans.all() == ()


def test_later_patch_of_another_library_is_left_in_place(
    record: Any, wire: Any, samples: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Undone last: puts the client's own function back.
    own = _base_client.SyncAPIClient.__dict__["request"]
    monkeypatch.setattr(_base_client.SyncAPIClient, "request", own)
    spans = record()
    ours = _base_client.SyncAPIClient.request

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        return ours(self, *args, **kwargs)

    monkeypatch.setattr(_base_client.SyncAPIClient, "request", theirs)
    tollway.uninstrument()
    assert _base_client.SyncAPIClient.request is theirs
    assert ask(wire.says(samples.chat()).client()).id == "chatcmpl-1"
    assert spans.all() == ()

    again = record()
    ask(wire.client())
    assert len(again.all()) == 1


def test_client_imported_after_instrument_is_patched_and_restored() -> None:
    code = """
import json, sys, tollway
from opentelemetry.sdk.trace import TracerProvider
tollway.instrument(tracer_provider=TracerProvider(), langchain=False)
before = "openai" in sys.modules
import openai._base_client as client
patched = hasattr(client.SyncAPIClient.__dict__["request"], "__wrapped__")
tollway.uninstrument()
print(json.dumps([before, patched, hasattr(client.SyncAPIClient.__dict__["request"], "__wrapped__")]))
"""
    assert _run(code)[0] == [False, True, False]


def test_client_imported_after_uninstrument_is_left_alone() -> None:
    code = """
import json, tollway
from opentelemetry.sdk.trace import TracerProvider
tollway.instrument(tracer_provider=TracerProvider(), langchain=False)
tollway.uninstrument()
import openai._base_client as client
print(json.dumps(type(client.SyncAPIClient.__dict__["request"]).__name__))
"""
    assert _run(code)[0] == "function"


def test_app_s_own_provider_is_kept_and_gets_no_exporter() -> None:
    code = """
import json, tollway
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
mine = TracerProvider()
trace.set_tracer_provider(mine)
handle = tollway.instrument(langchain=False)
kinds = [type(p).__name__ for p in mine._active_span_processor._span_processors]
print(json.dumps([trace.get_tracer_provider() is mine, handle.tracer_provider is mine, kinds]))
"""
    assert _run(code)[0] == [True, True, ["StampProcessor"]]


def test_own_provider_names_the_service_and_is_global() -> None:
    code = """
import json, tollway
from opentelemetry import trace
handle = tollway.instrument(endpoint="http://127.0.0.1:9", service_name="agent", langchain=False)
provider = trace.get_tracer_provider()
print(json.dumps([provider is handle.tracer_provider, provider.resource.attributes["service.name"]]))
"""
    assert _run(code)[0] == [True, "agent"]


def test_provider_without_processors_will_do(wire: Any, samples: Any, ask: Any) -> None:
    from opentelemetry.trace import NoOpTracerProvider

    handle = tollway.instrument(tracer_provider=NoOpTracerProvider(), langchain=False)
    assert ask(wire.says(samples.chat()).client()).id == "chatcmpl-1"
    assert handle.flush()
    handle.shutdown()


def test_grpc_without_its_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with pytest.raises(ImportError, match=r"pip install 'tollway\[grpc\]'"):
        tollway.instrument(tracer_provider=TracerProvider(), endpoint="http://x:1", protocol="grpc")
    before = _functions()
    assert [type(function).__name__ for function in before] == ["function"] * 3


def test_unknown_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="'http/json' is unknown"):
        tollway.instrument(tracer_provider=TracerProvider(), endpoint="x:1", protocol="http/json")


def test_double_instrumentation_is_named(
    record: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from tollway import _neighbours

    installed = {"openinference-instrumentation-openai", "opentelemetry-instrumentation-openai"}
    monkeypatch.setattr(_neighbours, "_is_installed", lambda name: name in installed)
    record()
    record()

    (warning,) = [
        r.getMessage() for r in caplog.records if "double instrumentation" in r.getMessage()
    ]
    assert all(name in warning for name in installed)


def test_instrumentors_of_the_entry_points(wire: Any, samples: Any, ask: Any) -> None:
    from tollway.instrumentors import LangChainInstrumentor, OpenAIInstrumentor

    provider = TracerProvider()
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    before = _functions()
    both = [OpenAIInstrumentor(), LangChainInstrumentor()]
    for one in both:
        one.instrument(tracer_provider=provider, skip_dep_check=True)
    ask(wire.says(samples.chat()).client())
    both[1].uninstrument()
    ask(wire.client())
    both[0].uninstrument()
    ask(wire.client())

    assert len(exporter.get_finished_spans()) == 2
    assert _functions() == before
    assert both[0].instrumentation_dependencies() == ("openai >= 1.66",)


def test_failure_inside_the_library_is_logged_once_and_counted(
    record: Any,
    wire: Any,
    samples: Any,
    ask: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from tollway import _guard
    from tollway.openai import call, start

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    spans = record()
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    for place in ((start, "request_attributes"), (call, "answer_attributes"), (start, "_begin")):
        monkeypatch.setattr(*place, broken)
        for _ in range(2):
            assert ask(wire.says(samples.chat()).client()).id == "chatcmpl-1"

    warned = [record for record in caplog.records if record.name == "tollway"]
    assert len(warned) == 3
    assert sum(_guard.failures.values()) >= 6
    assert len(spans.all()) == 4


def test_failure_inside_the_library_is_raised_under_test(
    record: Any, wire: Any, samples: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tollway.openai import patch

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    record()
    monkeypatch.setattr(patch, "begin", broken)
    with pytest.raises(RuntimeError, match="ours"):
        ask(wire.says(samples.chat()).client())
    assert openai.__version__
