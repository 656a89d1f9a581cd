"""Own the GenAI client metrics: their instruments, buckets, and when recording is worth it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tollway import attributes as attr

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

# Bucket boundaries: OpenTelemetry GenAI semantic conventions, "Generative AI client metrics".
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = (
    1,
    4,
    16,
    64,
    256,
    1024,
    4096,
    16384,
    65536,
    262144,
    1048576,
    4194304,
    16777216,
    67108864,
)
_UNCONNECTED = {"_ProxyMeterProvider", "NoOpMeterProvider"}


class Metrics:
    """Records the three GenAI client histograms where a MeterProvider exists."""

    __slots__ = ("_api", "_duration", "_first_chunk", "_given", "_is_live", "_tokens")

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        from opentelemetry.metrics import _internal  # 6 ms, not at `import tollway`

        self._api = _internal
        self._given = meter_provider
        self._is_live = False
        self._duration: Any = None
        self._tokens: Any = None
        self._first_chunk: Any = None

    @property
    def is_live(self) -> bool:
        """Whether a real MeterProvider is there; the app may set one at any time."""
        if self._is_live:
            return True
        # The API's getter looks into the environment each time, 1.3 µs, so the variable behind
        # it is read here.
        provider = self._given or self._api._METER_PROVIDER
        if provider is None or type(provider).__name__ in _UNCONNECTED:
            return False
        self._connect(provider)
        return True

    def record(
        self,
        labels: Mapping[str, Any],
        *,
        duration_s: float,
        first_chunk_s: float | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
    ) -> None:
        """Record one call; labels: the attributes of its data points, low in cardinality."""
        if not self.is_live:
            return
        self._duration.record(duration_s, labels)
        without_error = {k: v for k, v in labels.items() if k != attr.ERROR_TYPE}
        if first_chunk_s is not None:
            self._first_chunk.record(first_chunk_s, without_error)
        if input_tokens is not None:
            self._tokens.record(input_tokens, {**without_error, attr.GEN_AI_TOKEN_TYPE: "input"})
        if output_tokens is not None:
            self._tokens.record(output_tokens, {**without_error, attr.GEN_AI_TOKEN_TYPE: "output"})

    def _connect(self, provider: MeterProvider) -> None:
        meter = provider.get_meter("tollway")
        self._duration = meter.create_histogram(
            attr.METRIC_OPERATION_DURATION,
            unit="s",
            description="GenAI operation duration",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._tokens = meter.create_histogram(
            attr.METRIC_TOKEN_USAGE,
            unit="{token}",
            description="Number of input and output tokens used",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._first_chunk = meter.create_histogram(
            attr.METRIC_TIME_TO_FIRST_CHUNK,
            unit="s",
            description="Time to receive the first chunk of a streamed answer",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._is_live = True
