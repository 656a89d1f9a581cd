"""A problem that repeats is one log line a period."""

from __future__ import annotations

import logging

from tollway_processor.ingest.notices import Notices


def test_repeated_problem_is_logged_once_a_period_with_its_count(caplog):
    now = [0.0]
    notices = Notices(logging.getLogger("test"), 10.0, lambda: now[0])
    for second in range(25):
        now[0] = float(second)
        notices.warn("overload", f"at {second}")
    notices.warn("another", "once")
    assert caplog.messages == [
        "overload: at 0",
        "overload: at 10 (and 9 more like it since the last line)",
        "overload: at 20 (and 9 more like it since the last line)",
        "another: once",
    ]
