"""Counters and their Prometheus text."""

from __future__ import annotations

from tollway_processor.ingest.counters import Counters

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
