"""Bodies that the engine could not store, in bounded rotated files, ready to be replayed."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from tollway_processor.ingest.config import DeadLetterConfig
from tollway_processor.store.client import Signal

logger = logging.getLogger(__name__)


class DeadLetter(NamedTuple):
    """One request, or a part of one, and why it was not stored."""

    signal: Signal
    body: bytes
    project: str
    cause: str


class _Header(msgspec.Struct, frozen=True):
    signal: Signal
    project: str
    cause: str
    at_ns: int
    body_bytes: int


class DeadLetters:
    """The dead letters of one folder: numbered files, a JSON line and then the body a letter.

    May be used from any thread. Files are readable by their owner only: they hold prompts.
    """

    def __init__(
        self,
        folder: Path,
        config: DeadLetterConfig | None = None,
        *,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._folder = folder
        self._config = config or DeadLetterConfig()
        self._now_ns = now_ns
        self._lock = threading.Lock()
        # A crash may have cut the last file's last letter short: never write behind that.
        self._has_own_file = False

    def append(self, letter: DeadLetter) -> bool:
        """Keep one letter; return False, and log, when the folder cannot take it."""
        header = _Header(
            letter.signal, letter.project, letter.cause, self._now_ns(), len(letter.body)
        )
        record = msgspec.json.encode(header) + b"\n" + letter.body + b"\n"
        with self._lock:
            try:
                with self._current(len(record)).open("ab") as file:
                    file.write(record)
                return True
            except OSError as error:
                logger.error("a dead letter of %d bytes is lost: %s", len(letter.body), error)
                return False

    def read(self) -> Iterator[DeadLetter]:
        """Yield every letter, the oldest first; a file cut short by a crash ends early."""
        for path in self.files():
            with path.open("rb") as file:
                yield from _letters(file)

    def files(self) -> list[Path]:
        """Return the files, the oldest first."""
        return sorted(self._folder.glob("*.letters"))

    def clear(self, files: list[Path]) -> None:
        """Delete files whose letters were replayed."""
        with self._lock:
            for path in files:
                path.unlink(missing_ok=True)

    def _current(self, record_bytes: int) -> Path:
        """Return the file that takes the next letter, after making room for it."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        files = self.files()
        if self._has_own_file and files:
            room_bytes = self._config.file_bytes - files[-1].stat().st_size
            if record_bytes <= room_bytes:
                return files[-1]
        for path in files[: max(0, len(files) - self._config.files + 1)]:
            logger.warning("dropping the oldest dead letters, %s", path.name)
            path.unlink()
        number = int(files[-1].stem) + 1 if files else 1
        path = self._folder / f"{number:08d}.letters"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self._has_own_file = True
        return path


def _letters(file: BinaryIO) -> Iterator[DeadLetter]:
    while line := file.readline():
        try:
            header = msgspec.json.decode(line, type=_Header)
        except msgspec.DecodeError:
            logger.warning("%s is cut short; its last letter is lost", file.name)
            return
        body = file.read(header.body_bytes)
        if len(body) < header.body_bytes:
            logger.warning("%s is cut short; its last letter is lost", file.name)
            return
        file.read(1)
        yield DeadLetter(header.signal, body, header.project, header.cause)
