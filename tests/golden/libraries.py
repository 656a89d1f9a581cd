"""The libraries of the golden fixtures: how each is switched on, and how its user tells labels.

Each class stands for one column of the conventions; its methods run inside its own environment.
Labels go in the way that the library documents; where it has none, on a span of the app's own.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from typing import Any

from conversation import ROUTE, SESSION, USER

LABELS = {"session.id": SESSION, "user.id": USER, "route": ROUTE}


def sdk_provider(endpoint: str) -> Any:
    """Make the process's tracer provider one that sends to `endpoint`, each span by itself."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider


def sdk_logger_provider(endpoint: str) -> Any:
    """Make the process's logger provider one that sends to `endpoint`, each event by itself."""
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
    from opentelemetry.sdk.resources import Resource

    provider = LoggerProvider(resource=Resource({"service.name": "shop"}))
    exporter = OTLPLogExporter(endpoint=f"{endpoint}/v1/logs")
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    set_logger_provider(provider)
    return provider


class Library:
    """What all have in common: an app span with the labels, nothing on the agent."""

    packages: tuple[str, ...] = ()

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.provider: Any = None

    def openai_on(self, client: Any) -> None:
        """Switch on what watches the client."""

    def before_agent(self) -> None:
        """Switch over to what watches LangChain, where there is such a thing."""

    @contextlib.contextmanager
    def labels(self) -> Iterator[None]:
        """Tell session, user and route of what runs inside."""
        from opentelemetry import trace

        with trace.get_tracer("shop").start_as_current_span("POST /refunds", attributes=LABELS):
            yield

    def callbacks(self) -> list[Any]:
        return []

    def metadata(self) -> dict[str, Any]:
        return {}

    def flush(self) -> None:
        if self.provider is not None:
            self.provider.force_flush()


class OpenInference(Library):
    packages = ("openinference-instrumentation-openai", "openinference-instrumentation-langchain")

    def openai_on(self, client: Any) -> None:
        from openinference.instrumentation.openai import OpenAIInstrumentor

        self.provider = sdk_provider(self.endpoint)
        OpenAIInstrumentor().instrument(tracer_provider=self.provider)

    def before_agent(self) -> None:
        from openinference.instrumentation.langchain import LangChainInstrumentor
        from openinference.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().uninstrument()
        LangChainInstrumentor().instrument(tracer_provider=self.provider)

    @contextlib.contextmanager
    def labels(self) -> Iterator[None]:
        from openinference.instrumentation import using_attributes

        with using_attributes(
            session_id=SESSION, user_id=USER, metadata={"route": ROUTE}, tags=["golden"]
        ):
            yield


class OpenLLMetry(Library):
    packages = (
        "opentelemetry-instrumentation-openai",
        "opentelemetry-instrumentation-langchain",
    )

    def openai_on(self, client: Any) -> None:
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        self.provider = sdk_provider(self.endpoint)
        OpenAIInstrumentor().instrument(tracer_provider=self.provider)

    def before_agent(self) -> None:
        from opentelemetry.instrumentation.langchain import LangchainInstrumentor
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().uninstrument()
        LangchainInstrumentor().instrument(tracer_provider=self.provider)

    @contextlib.contextmanager
    def labels(self) -> Iterator[None]:
        """As its SDK does: association properties in the context, a processor that writes them."""
        from opentelemetry import trace

        told = {"session_id": SESSION, "user_id": USER, "route": ROUTE}
        named = {f"traceloop.association.properties.{key}": value for key, value in told.items()}
        with trace.get_tracer("shop").start_as_current_span("refunds.workflow", attributes=named):
            yield

    def metadata(self) -> dict[str, Any]:
        return {"session_id": SESSION, "user_id": USER, "route": ROUTE}


class OldOpenLLMetry(OpenLLMetry):
    packages = (
        "openai<2", "langchain<1", "langchain-openai<1", "langgraph<1",
        "opentelemetry-instrumentation-openai==0.33.12",
        "opentelemetry-instrumentation-langchain==0.33.12",
    )  # fmt: skip


class OpenAIv2(Library):
    """Version 1.30 of the conventions: content in log events."""

    packages = ("opentelemetry-instrumentation-openai-v2", "opentelemetry-util-genai<1")
    content = "true"

    def openai_on(self, client: Any) -> None:
        os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = self.content
        instrumentor: Any = importlib.import_module(self.module()).OpenAIInstrumentor()
        self.provider = sdk_provider(self.endpoint)
        logger = sdk_logger_provider(self.endpoint)
        instrumentor.instrument(tracer_provider=self.provider, logger_provider=logger)

    def module(self) -> str:
        return "opentelemetry.instrumentation.openai_v2"


class LatestOpenAIv2(OpenAIv2):
    content = "SPAN_ONLY"

    def openai_on(self, client: Any) -> None:
        os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
        super().openai_on(client)


class GenAI(LatestOpenAIv2):
    packages = (
        "opentelemetry-instrumentation-genai-openai",
        "opentelemetry-instrumentation-genai-langchain",
    )

    def module(self) -> str:
        return "opentelemetry.instrumentation.genai.openai"


class GenAIEvents(GenAI):
    """The same with its content in the event gen_ai.client.inference.operation.details."""

    content = "EVENT_ONLY"

    def openai_on(self, client: Any) -> None:
        os.environ["OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"] = "true"
        super().openai_on(client)


class TraceAI(Library):
    packages = ("traceAI-openai", "traceAI-langchain")

    def openai_on(self, client: Any) -> None:
        from traceai_openai import OpenAIInstrumentor

        self.provider = sdk_provider(self.endpoint)
        OpenAIInstrumentor().instrument(tracer_provider=self.provider)

    def before_agent(self) -> None:
        from traceai_langchain import LangChainInstrumentor
        from traceai_openai import OpenAIInstrumentor

        OpenAIInstrumentor().uninstrument()
        LangChainInstrumentor().instrument(tracer_provider=self.provider)

    @contextlib.contextmanager
    def labels(self) -> Iterator[None]:
        from fi_instrumentation import using_attributes

        with using_attributes(
            session_id=SESSION, user_id=USER, metadata={"route": ROUTE}, tags=["golden"]
        ):
            yield

    def metadata(self) -> dict[str, Any]:
        """LangChain's metadata takes the place of the context's."""
        return {"route": ROUTE}


class Logfire(Library):
    packages = ("logfire",)

    def openai_on(self, client: Any) -> None:
        import logfire
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor

        exporter = OTLPSpanExporter(endpoint=f"{self.endpoint}/v1/traces")
        logfire.configure(
            send_to_logfire=False, console=False, service_name="shop", scrubbing=False,
            additional_span_processors=[SimpleSpanProcessor(exporter)],
        )  # fmt: skip
        logfire.instrument_openai()

    @contextlib.contextmanager
    def labels(self) -> Iterator[None]:
        import logfire

        with logfire.span("POST /refunds", **LABELS):
            yield


class OpenLit(Library):
    packages = ("openlit",)

    def openai_on(self, client: Any) -> None:
        import openlit

        openlit.init(
            otlp_endpoint=self.endpoint, application_name="shop", disable_batch=True,
            disable_metrics=True, capture_message_content=True, pricing_json=os.devnull,
        )  # fmt: skip


class Langfuse(Library):
    packages = ("langfuse", "langchain")

    def openai_on(self, client: Any) -> None:
        from langfuse import Langfuse as Client

        Client(public_key="pk-lf-golden", secret_key="sk-lf-golden", host=self.endpoint)
        import langfuse.openai  # noqa: F401 - patches the client's classes when imported

    @contextlib.contextmanager
    def labels(self) -> Iterator[None]:
        from langfuse import get_client, propagate_attributes

        with (
            get_client().start_as_current_observation(name="POST /refunds"),
            propagate_attributes(
                session_id=SESSION, user_id=USER, metadata={"route": ROUTE}, tags=["golden"]
            ),
        ):
            yield

    def before_agent(self) -> None:
        """Its callback handler tells the calls; its patch of the client would tell them again."""

    def callbacks(self) -> list[Any]:
        from langfuse.langchain import CallbackHandler

        return [CallbackHandler()]

    def flush(self) -> None:
        from langfuse import get_client

        get_client().flush()


class MLflow(Library):
    packages = ("mlflow-tracing", "sqlparse")

    def openai_on(self, client: Any) -> None:
        os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"{self.endpoint}/v1/traces"
        os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
        os.environ["OTEL_SERVICE_NAME"] = "shop"
        import mlflow

        mlflow.openai.autolog()

    def before_agent(self) -> None:
        import mlflow

        mlflow.openai.autolog(disable=True)
        mlflow.langchain.autolog()

    @contextlib.contextmanager
    def labels(self) -> Iterator[None]:
        import mlflow

        with mlflow.start_span("POST /refunds") as span:
            span.set_attributes(LABELS)
            yield

    def flush(self) -> None:
        import mlflow

        mlflow.flush_trace_async_logging()


class Tollway(Library):
    def openai_on(self, client: Any) -> None:
        import tollway

        os.environ["OTEL_SERVICE_NAME"] = "shop"
        self.provider = sdk_provider(self.endpoint)
        tollway.instrument(tracer_provider=self.provider, capture_content=True)

    @contextlib.contextmanager
    def labels(self) -> Iterator[None]:
        import tollway

        with tollway.route(ROUTE), tollway.session(SESSION, user=USER):
            yield


LIBRARIES: dict[str, type[Library]] = {
    "openinference": OpenInference,
    "openllmetry": OpenLLMetry,
    "openllmetry-0.33": OldOpenLLMetry,
    "otel-1.30": OpenAIv2,
    "otel-1.36": LatestOpenAIv2,
    "otel-latest": GenAI,
    "otel-latest-events": GenAIEvents,
    "traceai": TraceAI,
    "logfire": Logfire,
    "openlit": OpenLit,
    "langfuse": Langfuse,
    "mlflow": MLflow,
    "tollway": Tollway,
}
