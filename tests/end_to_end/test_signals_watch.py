"""`tollway signals --watch` on a real terminal: it shows, refreshes, and leaves on Ctrl-C."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time

DEADLINE_S = 60
TOLLWAY = [sys.executable, "-m", "tollway_processor.cli"]


def test_watch_shows_and_leaves_on_ctrl_c(tmp_path):
    store = f"chdb:{tmp_path / 'store'}"
    subprocess.run([*TOLLWAY, "migrate", "--store", store], check=True, capture_output=True)
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [*TOLLWAY, "signals", "--store", store, "--watch"],
        stdin=terminal, stdout=terminal, stderr=terminal, env=os.environ | {"TERM": "xterm"},
    )  # fmt: skip
    os.close(terminal)
    seen, deadline = b"", time.monotonic() + DEADLINE_S
    while b"Nothing to compare yet" not in seen and time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 65_536)
    assert b"Nothing to compare yet" in seen
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 0
    os.close(master)


def test_watch_without_a_terminal_is_wrong_use(tmp_path):
    told = subprocess.run(
        [*TOLLWAY, "signals", "--store", f"chdb:{tmp_path}", "--watch"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (told.returncode, told.stdout) == (2, "")
    assert "--watch needs a terminal" in told.stderr
