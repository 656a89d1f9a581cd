"""Counters and their Prometheus text."""

from __future__ import annotations

import re

from tollway_processor.ingest.counters import Counters
from tollway_processor.ingest.metrics import HELP

EXPECTED = """\
# TYPE refused_total counter
refused_total{cause="a \\"b\\"\\n\\\\",signal="traces"} 2
refused_total{cause="other",signal="logs"} 1
# TYPE queue_bytes gauge
queue_bytes 12345678901
# TYPE commit_seconds histogram
commit_seconds_bucket{le="0.1"} 1
commit_seconds_bucket{le="1.0"} 2
commit_seconds_bucket{le="+Inf"} 3
commit_seconds_sum 7.6
commit_seconds_count 3
"""


def test_text_is_what_prometheus_reads():
    counters = Counters()
    for _ in range(2):
        counters.add("refused_total", signal="traces", cause='a "b"\n\\')
    counters.add("refused_total", cause="other", signal="logs")
    counters.gauge("queue_bytes", lambda: 12_345_678_901)
    for value in (0.1, 0.5, 7.0):
        counters.observe("commit_seconds", value, (0.1, 1.0))
    assert counters.text() == EXPECTED
    assert counters.value("refused_total") == 3
    assert counters.value("refused_total", signal="traces") == 2
    assert counters.value("unknown_total") == 0


def test_labels_that_senders_choose_are_bounded():
    counters = Counters()
    for number in range(1000):
        counters.add("refused_total", reason=f"id has {number} bytes")
    assert counters.text().count("refused_total{") == 201
    assert 'refused_total{reason="other"} 800' in counters.text()
    assert counters.value("refused_total") == 1000


def test_value_that_is_unknown_is_nan():
    counters = Counters()
    counters.gauge("parts", lambda: float("nan"))
    assert "parts NaN\n" in counters.text()


def test_every_metric_is_named_as_prometheus_asks():
    for name, text in HELP.items():
        assert re.fullmatch(r"(tollway|process)(_[a-z]+)+", name)
        assert text[0].isupper()
        assert text.endswith(".")
        assert not re.search(r"_(ms|milliseconds|kb|mb|mib|count)(_|$)", name)
