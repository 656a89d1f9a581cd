"""Who holds an embedded store: one process a folder, and where that process can be asked."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import IO

from tollway_processor.errors import StoreHeldError, UsageError

LOCK_NAME = "tollway.lock"


class StoreLock:
    """An exclusive lock on a store's folder, released by the system when the process ends.

    The lock's file holds JSON: {"pid": …, "http": url, "grpc": address, "sql": url}.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK_NAME
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises StoreHeldError naming the holder, UsageError when the folder cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115 (held until release)
        except OSError as error:
            raise UsageError(
                f"cannot write the store's folder {self.path.parent}: {error.strerror}; "
                "choose another with --store chdb:PATH"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise StoreHeldError(_held_message(self.path)) from error
        self._file = file
        self.publish({})

    def publish(self, addresses: dict[str, str]) -> None:
        """Write who holds the store and where it listens, for other processes to read."""
        if self._file is None:
            raise StoreHeldError(f"{self.path} is not locked by this process")
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps({"pid": os.getpid(), **addresses}) + "\n")
        self._file.flush()

    def release(self) -> None:
        """Give the store free."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None


def holder(folder: Path) -> dict[str, str] | None:
    """Return what the process that holds the store published, or None when nobody holds it."""
    path = folder / LOCK_NAME
    try:
        with open(path, encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                text = file.read()
                return {k: str(v) for k, v in json.loads(text or "{}").items()}
    except FileNotFoundError:
        return None
    return None


def _held_message(path: Path) -> str:
    try:
        pid = json.loads(path.read_text(encoding="utf-8") or "{}").get("pid", "unknown")
    except (OSError, ValueError):
        pid = "unknown"
    return (
        f"the store {path.parent} is held by another process (pid {pid}); "
        "stop it, or ask it through its SQL door"
    )
