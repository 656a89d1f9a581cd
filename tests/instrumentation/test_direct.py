"""Attributes written the short way are those that the SDK's public way would have left."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import INVALID_SPAN

from tollway import _direct
from tollway._capture import Content
from tollway._span import CallSpan


class Model(StrEnum):
    """As apps name their models."""

    SMALL = "small"


CLEAN: dict[str, Any] = {"s": "a", "i": 2, "f": 0.5, "b": True, "t": ("x", "y"), "empty": ()}
CASES: dict[str, tuple[dict[str, Any], bool]] = {
    "clean values": (CLEAN, True),
    "lone surrogates": ({"s": "\ud800 and \udfff", "nul": "a\x00b"}, True),
    "big and odd numbers": ({"i": 2**70, "f": float("nan"), "n": -1}, True),
    "a list": ({"s": "a", "l": ["x", "y"]}, False),
    "numbers in a tuple": ({"t": (1, 2)}, False),
    "a string of a class of its own": ({"s": Model.SMALL}, False),
    "bytes": ({"s": b"raw"}, False),
    "None": ({"s": None, "i": 1}, False),
    "an object": ({"s": object, "i": 1}, False),
    "a mapping": ({"m": {"a": [1, {"b": 2}]}}, False),
    "a key that is there": ({"start": 2, "s": "a"}, False),
}
LIMITS = {
    "stock": SpanLimits(),
    "few attributes": SpanLimits(max_span_attributes=3),
    "no attributes": SpanLimits(max_span_attributes=0),
    "short values": SpanLimits(max_span_attribute_length=1),
}


def _span(limits: SpanLimits) -> Any:
    tracer = TracerProvider(span_limits=limits, shutdown_on_exit=False).get_tracer("t")
    return tracer.start_span("x", attributes={"start": 1, "kept": "k"})


def _state(span: Any) -> Any:
    span.end()
    return repr(list(span.attributes.items())), span.dropped_attributes


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("case", CASES)
def test_result_is_that_of_the_public_way(case: str, limits: str, caplog: Any) -> None:
    caplog.set_level(logging.CRITICAL, "opentelemetry")
    attributes, _ = CASES[case]
    public, ours = _span(LIMITS[limits]), _span(LIMITS[limits])
    public.set_attributes(attributes)
    CallSpan(ours, Content()).set_all(attributes)

    assert _state(ours) == _state(public)


@pytest.mark.parametrize("case", CASES)
def test_only_clean_values_go_the_short_way(case: str) -> None:
    attributes, is_short = CASES[case]
    assert _direct.write(_span(LIMITS["stock"]), attributes) is is_short


@pytest.mark.parametrize("limits", ["few attributes", "no attributes", "short values"])
def test_limits_are_left_to_the_sdk(limits: str) -> None:
    assert not _direct.write(_span(LIMITS[limits]), CLEAN)


def test_ended_and_foreign_spans_are_left_to_their_own() -> None:
    ended = _span(LIMITS["stock"])
    ended.end()

    class Foreign:
        def set_attributes(self, attributes: Any) -> None:
            raise AssertionError("not asked to")

    assert not _direct.write(ended, CLEAN)
    assert not _direct.write(Foreign(), CLEAN)
    assert not _direct.write(INVALID_SPAN, CLEAN)
    assert "s" not in ended.attributes


def test_sdk_with_another_inside_is_left_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    span = _span(LIMITS["stock"])
    monkeypatch.setattr(_direct, "_TRIED", {})
    monkeypatch.setattr(_direct, "_put", lambda *_: False)

    assert not _direct.write(span, CLEAN)
