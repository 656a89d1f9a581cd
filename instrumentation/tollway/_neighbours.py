"""Own the warning of other instrumentations that would tell the same calls a second time."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from tollway._guard import warn_once

_PACKAGES = {
    "openai": (
        "openinference-instrumentation-openai",
        "opentelemetry-instrumentation-openai",
        "opentelemetry-instrumentation-openai-v2",
        "opentelemetry-instrumentation-genai-openai",
        "traceAI-openai",
    ),
    "langchain": (
        "openinference-instrumentation-langchain",
        "opentelemetry-instrumentation-langchain",
        "opentelemetry-instrumentation-genai-langchain",
        "traceAI-langchain",
    ),
}


def warn_of_double_instrumentation(target: str) -> None:
    """Warn once when another instrumentation of a target ("openai", "langchain") is installed."""
    found = [name for name in _PACKAGES[target] if _is_installed(name)]
    if found:
        warn_once(
            f"double instrumentation: {target}",
            f"{', '.join(found)} is installed beside tollway: if it instruments {target} in this "
            "process too, each call is told twice (double instrumentation). Turn one of them off, "
            f"with tollway.instrument({target}=False) or OTEL_PYTHON_DISABLED_INSTRUMENTATIONS.",
        )


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
