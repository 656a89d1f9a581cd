"""Bodies that the engine could not store, in bounded rotated files, ready to be replayed."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from tollway_processor.errors import UsageError
from tollway_processor.ingest.config import DeadLetterConfig
from tollway_processor.store.client import Signal

logger = logging.getLogger(__name__)

_KEPT, _ASIDE = ".letters", ".replaying"


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
        record = self._record(letter)
        try:
            with self._alone():
                with self._current(len(record)).open("ab") as file:
                    file.write(record)
                return True
        except OSError as error:
            logger.error("a dead letter of %d bytes is lost: %s", len(letter.body), error)
            return False

    def read(self) -> Iterator[DeadLetter]:
        """Yield every letter, the oldest first; a file cut short by a crash ends early."""
        for path in self.files():
            yield from letters_of(path)

    def files(self) -> list[Path]:
        """Return the files, the oldest first."""
        return self._named(_KEPT)

    def held_bytes(self) -> int:
        """Return the size of all letters kept, those set aside too."""
        sizes = 0
        for path in [*self._named(_KEPT), *self._named(_ASIDE)]:
            try:
                sizes += path.stat().st_size
            except FileNotFoundError:
                continue  # replayed or rotated meanwhile
        return sizes

    @contextmanager
    def set_aside(self) -> Iterator[list[Path]]:
        """Lend every file for a replay, out of the reach of a process that appends; oldest first.

        What an interrupted replay left comes along. What is not cleared or replaced within the
        `with` is put back as it was. Raises UsageError while another replay runs.
        """
        if not self._folder.is_dir():
            yield []
            return
        with open(self._folder / "replay.lock", "a", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UsageError(f"another replay of {self._folder} is running") from error
            with self._alone():
                for path in self.files():
                    path.rename(path.with_suffix(_ASIDE))
            try:
                yield self._named(_ASIDE)
            finally:
                for path in self._named(_ASIDE):
                    path.rename(path.with_suffix(_KEPT))

    def replace(self, path: Path, letters: Iterable[DeadLetter]) -> None:
        """Let a file that is set aside hold these letters, with their newest cause; none: delete.

        A crash leaves the file as it was or as it becomes.
        """
        records = [self._record(letter) for letter in letters]
        if not records:
            path.unlink()
            return
        new = path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            file.writelines(records)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)

    def _named(self, suffix: str) -> list[Path]:
        return sorted(self._folder.glob(f"*{suffix}"))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads, and other processes that append or set aside, out."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock, open(self._folder / "append.lock", "a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _record(self, letter: DeadLetter) -> bytes:
        header = _Header(
            letter.signal, letter.project, letter.cause, self._now_ns(), len(letter.body)
        )
        return msgspec.json.encode(header) + b"\n" + letter.body + b"\n"

    def _current(self, record_bytes: int) -> Path:
        """Return the file that takes the next letter, after making room for it."""
        files = self.files()
        if self._has_own_file and files:
            room_bytes = self._config.file_bytes - files[-1].stat().st_size
            if record_bytes <= room_bytes:
                return files[-1]
        for path in files[: max(0, len(files) - self._config.files + 1)]:
            logger.warning("dropping the oldest dead letters, %s", path.name)
            path.unlink()
        taken = [int(path.stem) for path in [*files, *self._named(_ASIDE)]]
        path = self._folder / f"{max(taken, default=0) + 1:08d}{_KEPT}"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self._has_own_file = True
        return path


def letters_of(path: Path) -> Iterator[DeadLetter]:
    """Yield one file's letters, the oldest first; one cut short by a crash ends early."""
    with path.open("rb") as file:
        yield from _letters(file)


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
