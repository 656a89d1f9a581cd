"""Own what the ingest benchmark reads of a process tree (CPU, memory), and of waiting for it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_TICKS = os.sysconf("SC_CLK_TCK")
_QUIET_CPU_S = 0.15  # of one second
T = TypeVar("T")


def tree(root: int) -> list[int]:
    """Return a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_s(*roots: int) -> float:
    """Return the CPU seconds (user and system) of processes and their descendants, also ended."""
    ticks = 0
    for root in roots:
        for pid in tree(root):
            if fields := _stat(pid):
                ticks += sum(int(field) for field in fields[11:15])  # proc(5): utime to cstime
    return ticks / _TICKS


def memory_bytes(*roots: int, name: str = "VmRSS") -> int:
    """Return the resident bytes of process trees now; with "VmHWM" the sum of their peaks."""
    total = 0
    for pid in (pid for root in roots for pid in tree(root)):
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
    return total


def until(
    done: Callable[[], T], what: str, *, deadline_s: float = 60.0, every_s: float = 0.01
) -> T:
    """Return what `done` gives as soon as that is true; raises RuntimeError at the deadline."""
    end = time.monotonic() + deadline_s
    while not (value := done()):
        if time.monotonic() > end:
            raise RuntimeError(f"waited {deadline_s:g} s for {what}")
        time.sleep(every_s)
    return value


def wait_until_quiet(*roots: int) -> None:
    """Wait until process trees rest: merges and what else they do after a load is over."""
    seen = [cpu_s(*roots)]

    def rests() -> bool:
        seen.append(cpu_s(*roots))
        return seen[-1] - seen[-2] < _QUIET_CPU_S

    until(rests, "processes at rest", every_s=1.0)


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_open(address: str) -> bool:
    """Whether somebody listens at HOST:PORT."""
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on, nothing when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()
