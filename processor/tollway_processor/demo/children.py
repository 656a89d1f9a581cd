"""The demo's child processes: started in their own process group, read line by line, stopped.

Own children only: each is ended by its own handle. What they do is their own modules' matter.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Final

from tollway_processor.errors import TollwayError

STOP_TIMEOUT_S: Final = 20.0
POLL_S: Final = 0.05


class Child:
    """One running child; its stdout is read by a thread, its stderr kept for a failure."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], errors: IO[bytes]
    ) -> None:
        self.name = name
        self._errors = errors
        # In a session of its own, so that Ctrl-C reaches the demo alone, which stops its
        # children in order.
        self._process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **environment},
            text=True,
            start_new_session=True,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def line(self, timeout_s: float) -> str | None:
        """Return the child's next line of stdout, None at its end.

        Raises TollwayError when none comes within `timeout_s`.
        """
        try:
            return self._lines.get(timeout=timeout_s)
        except queue.Empty:
            raise self.failure(f"said nothing for {timeout_s:.0f} s") from None

    def check(self) -> None:
        """Raise TollwayError, with the child's stderr shown, if the child has ended."""
        code = self._process.poll()
        if code is not None:
            raise self.failure(_ending(code))

    def finish(self, timeout_s: float) -> None:
        """Wait for the child to end by itself; raise TollwayError unless it exits 0."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise self.failure(f"did not end within {timeout_s:.0f} s") from None
        if code != 0:
            raise self.failure(_ending(code))

    def until(self, condition: Callable[[], bool], *, timeout_s: float, what: str) -> None:
        """Poll `condition` while the child lives; raise TollwayError after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready within {timeout_s:.0f} s: {what}")
            time.sleep(POLL_S)

    def failure(self, what: str) -> TollwayError:
        """Return the error that says `what` happened to the child, after showing its stderr."""
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        if said:
            print(f"--- stderr of the {self.name}\n{said}\n---", file=sys.stderr)
        return TollwayError(f"The demo's {self.name} {what}.")

    def stop(self) -> None:
        """End the child: SIGTERM, and SIGKILL when it does not heed it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)


def _ending(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


@contextlib.contextmanager
def running(
    name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[Child]:
    """Run `python <command>` as a child for the length of the block."""
    with tempfile.TemporaryFile() as errors:
        child = Child(name, command, environment or {}, errors)
        try:
            yield child
        finally:
            child.stop()
