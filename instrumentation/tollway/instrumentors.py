"""Own the classes behind the `opentelemetry_instrumentor` entry points: zero-code start-up.

They have the form of opentelemetry-instrumentation's BaseInstrumentor without needing it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tollway._setup import Part, instrument, uninstrument


class _Instrumentor:
    """One integration, started and stopped by `opentelemetry-instrument`."""

    part: Part
    dependencies: tuple[str, ...]
    is_instrumented_by_opentelemetry = False

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the requirement of the instrumented library."""
        return self.dependencies

    def instrument(self, **kwargs: Any) -> None:
        """Start the integration on the given or the global tracer provider."""
        instrument(
            tracer_provider=kwargs.get("tracer_provider"),
            meter_provider=kwargs.get("meter_provider"),
            openai=self.part == "openai",
            langchain=self.part == "langchain",
        )
        type(self).is_instrumented_by_opentelemetry = True

    def uninstrument(self, **kwargs: Any) -> None:
        """Stop the integration."""
        uninstrument(self.part)
        type(self).is_instrumented_by_opentelemetry = False


class OpenAIInstrumentor(_Instrumentor):
    """Entry point `tollway_openai`."""

    part: Part = "openai"
    dependencies = ("openai >= 1.66",)


class LangChainInstrumentor(_Instrumentor):
    """Entry point `tollway_langchain`."""

    part: Part = "langchain"
    dependencies = ("langchain-core >= 0.3",)
