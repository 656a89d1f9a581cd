"""The demo's children: a death is told with what the child said, and none outlives its block."""

from __future__ import annotations

import os

import pytest

from tollway_processor.demo.children import running
from tollway_processor.errors import TollwayError

TALKS = "import os; print(os.environ['WHAT']); print('more')"
DIES = "import sys; print('no such table', file=sys.stderr); sys.exit(3)"
STAYS = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print('term', flush=True), "
    "sys.exit(0))); print('up', flush=True); signal.pause()"
)


def test_lines_come_one_by_one_and_end_with_none() -> None:
    with running("talker", ["-c", TALKS], {"WHAT": "hello"}) as child:
        assert [child.line(20.0) for _ in range(3)] == ["hello", "more", None]
        child.finish(20.0)


def test_death_is_one_line_after_what_the_child_said(capfd: pytest.CaptureFixture[str]) -> None:
    with running("stub", ["-c", DIES]) as child:
        assert child.line(20.0) is None
        with pytest.raises(TollwayError, match=r"^The demo's stub ended with exit code 3\.$"):
            child.finish(20.0)
    assert "no such table" in capfd.readouterr().err


def test_wait_for_a_condition_ends_when_the_child_dies() -> None:
    with (
        running("stub", ["-c", DIES]) as child,
        pytest.raises(TollwayError, match="exit code 3"),
    ):
        child.until(lambda: False, timeout_s=20.0, what="never")


def test_condition_that_stays_false_ends_at_its_deadline() -> None:
    with running("stayer", ["-c", STAYS]) as child:
        with pytest.raises(TollwayError, match="was not ready within 0 s: the roll-up"):
            child.until(lambda: False, timeout_s=0.1, what="the roll-up")
        with pytest.raises(TollwayError, match="said nothing"):
            [child.line(0.2) for _ in range(2)]


def test_child_ends_with_its_block() -> None:
    with running("stayer", ["-c", STAYS]) as child:
        assert child.line(20.0) == "up"
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_child_is_asked_before_it_is_killed() -> None:
    with running("server", ["-c", STUBBORN]) as child:
        assert child.line(20.0) == "up"
        child.stop()
        assert child.line(20.0) == "term"


def test_ctrl_c_in_the_terminal_does_not_reach_the_child() -> None:
    with running("stayer", ["-c", STAYS]) as child:
        assert os.getpgid(child.pid) != os.getpgid(0)
