"""Own the tracer provider in use: the app's where it has one, else one of Tollway's making.

Sending is `_export`'s business, stamping `_stamp`'s.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.trace import ProxyTracerProvider, TracerProvider

from tollway._export import ExportProcessor
from tollway._stamp import StampProcessor

# A provider cannot give up a processor, so each gets at most one of ours, switched on and off.
_stampers: weakref.WeakKeyDictionary[Any, StampProcessor] = weakref.WeakKeyDictionary()
_exporters: weakref.WeakKeyDictionary[Any, ExportProcessor] = weakref.WeakKeyDictionary()
_own: SdkTracerProvider | None = None


def prepare(
    given: TracerProvider | None,
    *,
    endpoint: str | None,
    service_name: str | None,
    headers: Mapping[str, str] | None,
    protocol: str | None,
) -> tuple[TracerProvider, ExportProcessor | None]:
    """Return the provider to use, stamping, and Tollway's exporter on it where it has one."""
    provider = given if given is not None else trace.get_tracer_provider()
    is_ours = isinstance(provider, ProxyTracerProvider) or provider is _own
    exports: ExportProcessor | None = None
    if is_ours or endpoint is not None:
        # Opened before anything is changed: it raises when an extra is missing.
        opened = ExportProcessor.build(endpoint=endpoint, headers=headers, protocol=protocol)
        if is_ours:
            provider = _own_provider(service_name)
        exports = _attach_exporter(provider, opened)
    _attach_stamper(provider)
    return provider, exports


def release(provider: TracerProvider) -> None:
    """Stop stamping the spans of a provider."""
    stamper = _stampers.get(provider) if hasattr(provider, "add_span_processor") else None
    if stamper is not None:
        stamper.is_active = False


def _own_provider(service_name: str | None) -> SdkTracerProvider:
    global _own  # noqa: PLW0603 - the process-wide provider, set once like OpenTelemetry's
    if _own is None:
        named = {"service.name": service_name} if service_name else {}
        _own = SdkTracerProvider(resource=Resource.create(named))
        trace.set_tracer_provider(_own)
    return _own


def _attach_stamper(provider: Any) -> None:
    if not hasattr(provider, "add_span_processor"):
        return
    stamper = _stampers.get(provider)
    if stamper is not None:
        stamper.is_active = True
    else:
        stamper = _stampers[provider] = StampProcessor()
        provider.add_span_processor(stamper)


def _attach_exporter(provider: Any, opened: ExportProcessor) -> ExportProcessor | None:
    if not hasattr(provider, "add_span_processor"):
        return None
    existing = _exporters.get(provider)
    if existing is not None:
        existing.take_over(opened)
        return existing
    _exporters[provider] = opened
    opened.open()
    provider.add_span_processor(opened)
    return opened
