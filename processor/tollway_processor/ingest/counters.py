"""Counts of what the processor did, and their Prometheus text; nothing here decides anything."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from math import isnan
from typing import NamedTuple

from tollway_processor.ingest.metrics import HELP

_MOST_SERIES = 200  # of one counter; labels beyond are summed as "other": senders choose some
Labels = tuple[tuple[str, str], ...]
Series = dict[Labels, float]
_MOST_GAUGES = 2000  # series of one gauge: routes times candidates, chosen by senders


class _Histogram:
    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0


class _Gauge(NamedTuple):
    read: Callable[[], float]
    kind: str


class Counters:
    """Counters, histograms and gauges by name and labels; metrics.py has their help texts.

    Written from the event loop and from store threads: an increment lost between two of them
    would only dim a graph, and the interpreter's lock makes even that rare.
    """

    def __init__(self) -> None:
        self._counts: dict[str, dict[Labels, float]] = defaultdict(lambda: defaultdict(float))
        self._histograms: dict[str, _Histogram] = {}
        self._gauges: dict[str, _Gauge] = {}
        self._gauge_series: dict[str, tuple[Callable[[], Series], str]] = {}

    def add(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to the counter `name` (which ends in `_total`) at these labels."""
        series, key = self._counts[name], tuple(sorted(labels.items()))
        if key not in series and len(series) >= _MOST_SERIES:
            key = tuple((label, "other") for label, _ in key)
        series[key] += amount

    def observe(self, name: str, value: float, bounds: tuple[float, ...]) -> None:
        """Put one value into the histogram `name` with these upper bounds, ascending."""
        histogram = self._histograms.get(name)
        if histogram is None:
            histogram = self._histograms[name] = _Histogram(bounds)
        histogram.counts[bisect_left(histogram.bounds, value)] += 1
        histogram.total += value

    def gauge(self, name: str, read: Callable[[], float], *, kind: str = "gauge") -> None:
        """Let `read` be called for the value of `name` whenever the text is asked for."""
        self._gauges[name] = _Gauge(read, kind)

    def gauges(self, name: str, read: Callable[[], Series], *, kind: str = "gauge") -> None:
        """Let `read` be called for the series of gauge `name` whenever the text is asked for."""
        self._gauge_series[name] = (read, kind)

    def value(self, name: str, /, **labels: str) -> float:
        """Return a counter's sum over all labels that include `labels`."""
        wanted = set(labels.items())
        series = self._counts.get(name, {})
        return sum(count for key, count in list(series.items()) if wanted <= set(key))

    def text(self) -> str:
        """Return everything in Prometheus' text format, version 0.0.4."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        for name, series in sorted(self._counts.items()):
            yield from _head(name, "counter")
            yield from (
                f"{name}{_braces(key)} {count:.15g}" for key, count in sorted(series.items())
            )
        for name, gauge in sorted(self._gauges.items()):
            yield from _head(name, gauge.kind)
            yield f"{name} {_number(gauge.read())}"
        for name, (read, kind) in sorted(self._gauge_series.items()):
            yield from _head(name, kind)
            for key, value in sorted(read().items())[:_MOST_GAUGES]:
                yield f"{name}{_braces(key)} {_number(value)}"
        for name, histogram in sorted(self._histograms.items()):
            yield from _head(name, "histogram")
            running = 0
            for bound, count in zip((*histogram.bounds, "+Inf"), histogram.counts, strict=True):
                running += count
                yield f'{name}_bucket{{le="{bound}"}} {running}'
            yield f"{name}_sum {histogram.total:.15g}"
            yield f"{name}_count {running}"


def labels_of(**labels: str) -> Labels:
    """Return labels as a series has them."""
    return tuple(sorted(labels.items()))


def _head(name: str, kind: str) -> Iterator[str]:
    if name in HELP:
        yield f"# HELP {name} {HELP[name]}"
    yield f"# TYPE {name} {kind}"


def _number(value: float) -> str:
    return "NaN" if isnan(value) else f"{value:.15g}"


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    escaped = (
        (name, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
        for name, value in labels
    )
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"
