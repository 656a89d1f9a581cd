"""The log: one line a problem, text or JSON, and no flood."""

from __future__ import annotations

import io
import json
import logging
import re
import warnings

import pytest

from tollway_processor.ingest.notices import Notices
from tollway_processor.logs import OncePerPlace, set_up

logger = logging.getLogger("tests.logs")


@pytest.fixture
def log():
    """Set the log up on a stream of its own, and put logging back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()

    def lines(format):
        set_up(format, stream)
        return lambda: stream.getvalue().splitlines()

    yield lines
    logging.captureWarnings(False)
    root.handlers, root.level = handlers, level


def fail():
    raise ValueError("first\nsecond")


def test_text_is_one_line_a_problem(log):
    written = log("text")
    try:
        fail()
    except ValueError:
        logger.exception("storing %d\nfailed", 3)
    (line,) = written()
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z ERROR storing 3\\nfailed \[ValueError: first", line)
    assert "test_logs.py:" in line


def test_json_is_one_object_a_line(log):
    written = log("json")
    try:
        fail()
    except ValueError:
        logger.exception("grüße\n%s", "x")
    logger.info("told")
    problem, told = map(json.loads, written())
    assert problem["level"] == "error"
    assert problem["logger"] == "tests.logs"
    assert problem["message"] == "grüße\nx"
    assert problem["error"].startswith("ValueError: first\nsecond")
    assert "in fail" in problem["traceback"]
    assert set(told) == {"time", "level", "logger", "message"}


def test_place_that_fails_again_and_again_is_one_line_a_period():
    now = 0.0
    once = OncePerPlace(10.0, lambda: now)

    def written(message, line=1, level=logging.WARNING):
        record = logging.LogRecord("aiohttp", level, "server.py", line, "%s", (message,), None)
        return record.getMessage() if once.filter(record) else None

    assert written("a") == "a"
    assert [written("b"), written("c")] == [None, None]
    assert written("elsewhere", line=2) == "elsewhere"
    assert [written("told", level=logging.INFO) for _ in range(2)] == ["told", "told"]
    now = 10.0
    assert written("d") == "d (and 2 more like it since the last line)"
    assert written("e") is None


def test_notices_of_different_kinds_are_all_written(log):
    written = log("text")
    notices = Notices(logger)
    for kind in ("store", "refused traces", "store"):
        notices.warn(kind, "down")
    assert [line.split("WARNING ")[1] for line in written()] == [
        "store: down",
        "refused traces: down",
    ]


def test_warnings_of_libraries_go_to_the_log(log):
    written = log("json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old call", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    (line,) = written()
    assert "old call" in json.loads(line)["message"]
