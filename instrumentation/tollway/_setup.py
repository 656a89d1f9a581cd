"""Own what `instrument()` sets up for the whole process, and how it is taken down.

The integrations read it through `current()`; what they patch is their own business.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from opentelemetry import trace
from opentelemetry.trace import Tracer, TracerProvider

from tollway import _settings
from tollway._metrics import Metrics
from tollway._span import SCOPE_NAME, end_orphans
from tollway._unrecorded import DropShortcut
from tollway._version import VERSION

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

    from tollway._capture import CaptureContent, Content
    from tollway._export import ExportProcessor

LangchainMode = bool | Literal["all"]
Part = Literal["openai", "langchain"]
SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"


class State:
    """What the integrations read on each call; there is none while not instrumented."""

    __slots__ = (
        "capture_tool_definitions",
        "content",
        "drops",
        "langchain_mode",
        "metrics",
        "openai_active",
        "stream_usage",
        "tracer",
    )

    def __init__(self, tracer: Tracer, content: Content, metrics: Metrics) -> None:
        self.tracer = tracer
        self.drops = DropShortcut(tracer)
        self.content = content
        self.metrics = metrics
        self.stream_usage = True
        self.capture_tool_definitions = False
        self.openai_active = False
        self.langchain_mode: LangchainMode = False


class Handle:
    """What `instrument()` returns: flush what is recorded, or take everything down."""

    __slots__ = ("_exports", "_undo", "tracer_provider")

    def __init__(self, tracer_provider: TracerProvider, exports: ExportProcessor | None) -> None:
        self.tracer_provider = tracer_provider
        self._exports = exports
        self._undo: dict[str, Callable[[], None]] = {}

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Send what is recorded so far; return whether all of it went out in time."""
        end_orphans()
        force_flush = getattr(self.tracer_provider, "force_flush", None)
        return bool(force_flush(int(timeout_s * 1000))) if force_flush else True

    def shutdown(self) -> None:
        """Restore what was patched, send what is recorded, and stop Tollway's own exporter."""
        if _handle is self:
            uninstrument()
        self.flush()
        if self._exports is not None:
            self._exports.close()


_lock = threading.RLock()
_state: State | None = None
_handle: Handle | None = None


def current() -> State | None:
    """Return the state set up by `instrument()`, None when there is none."""
    return _state


def tracer() -> Tracer:
    """Return the tracer in use; before `instrument()` the one of the app's own provider."""
    return _state.tracer if _state is not None else trace.get_tracer(SCOPE_NAME, VERSION)


def instrument(
    *,
    endpoint: str | None = None,
    service_name: str | None = None,
    headers: Mapping[str, str] | None = None,
    protocol: str | None = None,
    tracer_provider: TracerProvider | None = None,
    capture_content: CaptureContent = None,
    openai: bool = True,
    langchain: LangchainMode = True,
    stream_usage: bool | None = None,
    capture_tool_definitions: bool | None = None,
    max_content_chars: int | None = None,
    meter_provider: MeterProvider | None = None,
) -> Handle:
    """Record every OpenAI and LangChain call of this process from here on, and return a handle.

    endpoint: OTLP base URL; default the standard OTEL_EXPORTER_OTLP_* variables, else
    http://127.0.0.1:4318. protocol: "http/protobuf" or "grpc" (needs the `grpc` extra).
    tracer_provider: used as it is, like one the app has set already; such a provider gets
    Tollway's exporter only when `endpoint` is given too.
    capture_content: False, True, or a function `str -> str | None` that redacts; default
    OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT, else True.
    langchain: "all" shows prompts, parsers, lambdas and sequences as spans too.
    stream_usage: ask for token counts in streams where the app did not (default; environment
    TOLLWAY_STREAM_USAGE). capture_tool_definitions: record the tools offered (default not;
    TOLLWAY_CAPTURE_TOOL_DEFINITIONS). max_content_chars: longer strings are cut (default 32,768;
    TOLLWAY_MAX_CONTENT_CHARS).
    Idempotent: a second call changes nothing and returns the same handle.
    Raises ImportError when `protocol` needs an extra that is not installed, ValueError when
    it is unknown.
    """
    global _state, _handle  # noqa: PLW0603 - one state a process is the point
    with _lock:
        if _handle is None:
            from tollway import _providers  # the SDK, which `import tollway` leaves out

            provider, exports = _providers.prepare(
                tracer_provider,
                endpoint=endpoint,
                service_name=service_name,
                headers=headers,
                protocol=protocol,
            )
            _state = State(
                tracer=provider.get_tracer(SCOPE_NAME, VERSION, schema_url=SCHEMA_URL),
                content=_settings.content(capture_content, max_content_chars),
                metrics=Metrics(meter_provider),
            )
            _state.stream_usage = _settings.stream_usage(stream_usage)
            _state.capture_tool_definitions = _settings.tool_definitions(capture_tool_definitions)
            _handle = Handle(provider, exports)
            _handle._undo["provider"] = lambda: _providers.release(provider)
        if openai:
            _activate("openai")
        if langchain:
            _activate("langchain", langchain)
        return _handle


def uninstrument(part: Part | None = None) -> None:
    """Restore every patched function to the very one it was; what is recorded is kept.

    part: take back that integration alone.
    """
    global _state, _handle
    with _lock:
        handle = _handle
        if handle is None:
            return
        end_orphans()
        if part is not None:
            _deactivate(handle, part)
            if set(handle._undo) > {"provider"}:
                return
        for name in reversed(list(handle._undo)):
            _deactivate(handle, name)
        _handle, _state = None, None


def _activate(part: Part, mode: LangchainMode = True) -> None:
    """Have an integration's `activate(state)` patch its library, unless it has."""
    handle, state = _handle, _state
    if handle is None or state is None or part in handle._undo:
        return
    if part == "openai":
        state.openai_active = True
    else:
        state.langchain_mode = mode
    handle._undo[part] = import_module(f"tollway.{part}").activate(state)


def _deactivate(handle: Handle, part: str) -> None:
    undo = handle._undo.pop(part, None)
    if undo is None:
        return
    if _state is not None and part == "openai":
        _state.openai_active = False
    if _state is not None and part == "langchain":
        _state.langchain_mode = False
    undo()
