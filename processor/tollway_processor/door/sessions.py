"""Named sessions of a writable door: SET and temporary tables live on between requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tollway_processor.door.faults import SESSION_IS_LOCKED, SESSION_NOT_FOUND, fault
from tollway_processor.door.session import Connect, Connection, opened


class _Session:
    def __init__(self, connect: Connect) -> None:
        self.stack = ExitStack()
        self.connection = self.stack.enter_context(opened(connect))
        self.lock = threading.Lock()
        self.expires_at_s = 0.0


class Sessions:
    """Sessions by name; one without a name lasts for one statement."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._named: dict[str, _Session] = {}
        self._lock = threading.Lock()

    @contextmanager
    def lease(self, name: str, timeout_s: float, *, must_exist: bool) -> Iterator[Connection]:
        """Lend a session; StoreError 372 when it should exist and does not, 373 when in use."""
        if not name:
            with opened(self._connect) as connection:
                yield connection
            return
        session = self._take(name, must_exist)
        try:
            yield session.connection
        finally:
            session.expires_at_s = time.monotonic() + timeout_s
            session.lock.release()

    def _take(self, name: str, must_exist: bool) -> _Session:
        with self._lock:
            self._drop_expired()
            session = self._named.get(name)
            if session is None and must_exist:
                raise fault(SESSION_NOT_FOUND, f"Session {name} not found")
            if session is None:
                session = self._named[name] = _Session(self._connect)
            if not session.lock.acquire(blocking=False):
                raise fault(SESSION_IS_LOCKED, f"Session {name} is locked by a concurrent client")
            return session

    def _drop_expired(self) -> None:
        now_s = time.monotonic()
        for name, session in [*self._named.items()]:
            if now_s > session.expires_at_s and not session.lock.locked():
                session.stack.close()
                del self._named[name]

    def close(self) -> None:
        """End every session; none may be in use."""
        with self._lock:
            for session in self._named.values():
                session.stack.close()
            self._named.clear()
