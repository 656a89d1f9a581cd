"""A real store for the processor's tests, and OTLP requests to put into it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tollway_processor.store.client import Delivery, Refusal
from tollway_processor.store.embedded import EmbeddedStore

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """An embedded store for one module: one process can hold only one at a time."""
    opened = EmbeddedStore(tmp_path_factory.mktemp("store"))
    yield opened
    opened.close()


class Otlp:
    """Builds OTLP trace requests with ids that no other test uses."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.store = store
        self.last_stamp_ns = 0

    def trace_id(self) -> bytes:
        return (0xA000 << 112 | next(_numbers)).to_bytes(16, "big")

    def span(
        self,
        *,
        trace_id: bytes | None = None,
        span_id: bytes | None = None,
        parent: bytes = b"",
        name: str = "chat",
        start_ns: int | None = None,
        duration_ns: int = 1_000_000,
        **attributes: object,
    ) -> Span:
        """A span; attribute names take _ for a dot where __ stands: gen_ai__usage__x_y."""
        start_ns = time.time_ns() if start_ns is None else start_ns
        return Span(
            trace_id=self.trace_id() if trace_id is None else trace_id,
            span_id=next(_numbers).to_bytes(8, "big") if span_id is None else span_id,
            parent_span_id=parent,
            name=name,
            start_time_unix_nano=start_ns,
            end_time_unix_nano=start_ns + duration_ns,
            attributes=attributes_of({k.replace("__", "."): v for k, v in attributes.items()}),
        )

    def call(self, *, input_tokens: int = 100, output_tokens: int = 10, **more: object) -> Span:
        """A chat call of gpt-4o in the OpenTelemetry convention."""
        told: dict[str, object] = {
            "gen_ai__operation__name": "chat",
            "gen_ai__provider__name": "openai",
            "gen_ai__request__model": "gpt-4o",
            "gen_ai__response__model": "gpt-4o-2024-08-06",
            "gen_ai__usage__input_tokens": input_tokens,
            "gen_ai__usage__output_tokens": output_tokens,
        }
        return self.span(**{**told, **more})

    def request(self, *spans: Span, **resource: object) -> bytes:
        """An export request of these spans from one resource."""
        message = ExportTraceServiceRequest()
        group = message.resource_spans.add()
        told = {"service.name": "tests"} | {k.replace("__", "."): v for k, v in resource.items()}
        group.resource.attributes.extend(attributes_of(told))
        group.scope_spans.add().spans.extend(spans)
        return message.SerializeToString()

    def send(self, *spans: Span, project: str = "", **resource: object) -> list[Refusal]:
        """Commit one request of these spans."""
        return self.commit(self.request(*spans, **resource), project=project)

    def commit(self, *bodies: bytes, project: str = "") -> list[Refusal]:
        """Commit these bodies as one batch."""
        self.last_stamp_ns = max(time.time_ns(), self.last_stamp_ns + 1)
        batch = [Delivery(body, project) for body in bodies]
        return self.store.ingest(
            "traces", batch, token=str(self.last_stamp_ns), ingested_at_ns=self.last_stamp_ns
        )

    def stored(self, table: str, trace_id: bytes) -> list[dict[str, object]]:
        """The deduplicated rows of a trace."""
        return self.store.rows(
            f"SELECT * FROM {table} FINAL WHERE trace_id = {{id:String}} ORDER BY ALL",
            {"id": trace_id.hex()},
        )


def attributes_of(values: dict[str, object]) -> list[KeyValue]:
    """Return OTLP attributes of plain Python values."""
    return [KeyValue(key=key, value=any_value(value)) for key, value in values.items()]


def any_value(value: object) -> AnyValue:
    """Return an OTLP value of a plain Python one."""
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[any_value(item) for item in value]))
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=attributes_of(value)))
    return AnyValue() if value is None else AnyValue(string_value=str(value))


@pytest.fixture
def otlp(store: EmbeddedStore) -> Otlp:
    return Otlp(store)


@pytest.fixture
def lonely_folder(tmp_path: Path) -> Path:
    """A folder for a store of a test's own, in a module that uses no shared one."""
    return tmp_path / "store"
