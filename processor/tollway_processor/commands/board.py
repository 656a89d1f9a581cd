"""A page of /metrics, and the lines that `tollway top` shows of two of them; no I/O here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_REASONS = 8  # lines of refusals shown
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")

Labels = frozenset[tuple[str, str]]


class Line(NamedTuple):
    """One line of the board; a warning is shown as such."""

    title: str
    text: str
    is_warning: bool = False


class Reading:
    """The samples of one scrape, taken at `at_s` (any steady clock)."""

    def __init__(self, text: str, at_s: float) -> None:
        self.at_s = at_s
        self.samples: dict[str, dict[Labels, float]] = {}
        for line in text.splitlines():
            if found := _SAMPLE.match(line):
                labels = frozenset(_LABEL.findall(found["labels"] or ""))
                self.samples.setdefault(found["name"], {})[labels] = float(found["value"])

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's series that carry these labels, 0 without any."""
        wanted = set(labels.items())
        series = self.samples.get(name, {})
        return sum(value for key, value in series.items() if wanted <= key)

    def has(self, name: str) -> bool:
        """Whether the page tells this metric a value."""
        return any(not math.isnan(value) for value in self.samples.get(name, {}).values())


def board(before: Reading, now: Reading) -> Iterator[Line]:
    """Yield the lines; rates are over the time between the two readings."""
    yield from _traffic(before, now)
    yield from _commits(before, now)
    yield from _refusals(before, now)
    yield from _weight(now)


def _traffic(before: Reading, now: Reading) -> Iterator[Line]:
    for title, name, labels in (
        ("requests", "tollway_requests_total", {}),
        ("spans", "tollway_items_total", {"signal": "traces"}),
        ("log records", "tollway_items_total", {"signal": "logs"}),
    ):
        rate, total = _rate(before, now, name, labels), now.value(name, **labels)
        yield Line(title, f"{rate:,.1f} /s, {total:,.0f} since the start")
    name = "tollway_body_bytes_total"
    rate, total = _rate(before, now, name, {}), now.value(name)
    yield Line("bytes", f"{size(rate)}/s, {size(total)} since the start")


def _commits(before: Reading, now: Reading) -> Iterator[Line]:
    count = now.value("tollway_commit_seconds_count") - before.value("tollway_commit_seconds_count")
    whole = count <= 0  # nothing in between: tell it since the start
    since = Reading("", 0.0) if whole else before
    suffix = " since the start" if whole else ""
    batch = _mean(since, now, "tollway_batch_requests")
    yield Line("batch size", f"{batch:,.1f} requests{suffix}")
    mean = _mean(since, now, "tollway_commit_seconds")
    highest = _quantile(since, now, "tollway_commit_seconds", 0.99)
    yield Line("commit time", f"{mean:.3f} s, 99 of 100 within {highest:g} s{suffix}")
    yield Line("queue", size(now.value("tollway_queue_bytes")))
    in_flight = now.value("tollway_in_flight_requests")
    yield Line(
        "in flight", f"{in_flight:,.0f} requests, {size(now.value('tollway_in_flight_bytes'))}"
    )


def _refusals(before: Reading, now: Reading) -> Iterator[Line]:
    found: list[tuple[float, str, float]] = []
    for name, label in (
        ("tollway_requests_refused_total", "cause"),
        ("tollway_items_refused_total", "reason"),
    ):
        what = "requests" if label == "cause" else "items"
        for key, total in now.samples.get(name, {}).items():
            labels = dict(key)
            rate = _rate(before, now, name, labels)
            text = f"{labels.get('signal', '')} {what}, {labels.get(label, '')}"
            found.append((total, text, rate))
    found.sort(reverse=True)
    if not found:
        yield Line("refused", "nothing")
    for total, text, rate in found[:_REASONS]:
        yield Line("refused", f"{total:,.0f} {text} ({rate:,.1f} /s)", rate > 0)
    if len(found) > _REASONS:
        yield Line("refused", f"{len(found) - _REASONS} more reasons")


def _weight(now: Reading) -> Iterator[Line]:
    letters = now.value("tollway_dead_letters_total")
    kept = now.value("tollway_dead_letter_bytes") if now.has("tollway_dead_letter_bytes") else 0.0
    yield Line("dead letters", f"{letters:,.0f} since the start, {size(kept)} kept", kept > 0)
    lag = now.value("tollway_rollup_lag_seconds")
    yield Line("roll-up lag", f"{lag:.1f} s", lag > 60)
    if now.has("tollway_engine_memory_bytes"):
        yield Line("engine memory", size(now.value("tollway_engine_memory_bytes")))
    if now.has("process_resident_memory_bytes"):
        yield Line("process memory", size(now.value("process_resident_memory_bytes")))
    if now.has("tollway_store_parts"):
        parts = now.value("tollway_store_parts")
        rows, disk = now.value("tollway_store_rows"), now.value("tollway_store_bytes")
        yield Line("store", f"{parts:,.0f} parts, {rows:,.0f} rows, {size(disk)}", parts > 3000)


def size(count: float) -> str:
    """Return bytes as a person reads them."""
    for unit in _UNITS[:-1]:
        if abs(count) < 1024:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} {_UNITS[-1]}"


def _rate(before: Reading, now: Reading, name: str, labels: Mapping[str, str]) -> float:
    elapsed_s = now.at_s - before.at_s
    grown = now.value(name, **labels) - before.value(name, **labels)
    return max(grown, 0.0) / elapsed_s if elapsed_s > 0 else 0.0


def _mean(before: Reading, now: Reading, name: str) -> float:
    count = now.value(f"{name}_count") - before.value(f"{name}_count")
    total = now.value(f"{name}_sum") - before.value(f"{name}_sum")
    return total / count if count > 0 else 0.0


def _quantile(before: Reading, now: Reading, name: str, share: float) -> float:
    """Return the bucket bound that `share` of the values between two readings keep to."""
    buckets = sorted(
        (float(dict(key)["le"]), total - before.value(f"{name}_bucket", le=dict(key)["le"]))
        for key, total in now.samples.get(f"{name}_bucket", {}).items()
    )
    count = buckets[-1][1] if buckets else 0.0
    return next((bound for bound, total in buckets if count and total >= share * count), 0.0)
