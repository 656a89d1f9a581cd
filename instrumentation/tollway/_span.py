"""Own the span of one call: set, failed and finished exactly once, from wherever it ends.

What is set on it is the integrations' business.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Span, Status, StatusCode

from tollway import _direct
from tollway import attributes as attr
from tollway._guard import guard, report

if TYPE_CHECKING:
    from tollway._capture import Content

__all__ = ["SCOPE_NAME", "CallSpan", "end_orphans", "end_safely", "guard", "report"]

SCOPE_NAME = "tollway"

_orphans: deque[Callable[[], object]] = deque()
# A span that ends inside a garbage collection may interrupt one of these, which hold plain locks.
_LOCKING_MODULES = ("opentelemetry.sdk", "opentelemetry.exporter", "logging", "queue")
_THREAD_MAIN = {"_bootstrap", "_bootstrap_inner", "run"}


class CallSpan:
    """A span that ends once, however many of the paths that can end it are taken."""

    __slots__ = ("_content", "_open", "is_recording", "span")

    def __init__(self, span: Span, content: Content) -> None:
        self.span = span
        self.is_recording = span.is_recording()
        self._content = content
        self._open = [True]

    @property
    def is_open(self) -> bool:
        return bool(self._open)

    def set(self, key: str, value: Any) -> None:
        """Set one attribute; None is left out."""
        if value is not None and self.is_recording:
            self.span.set_attribute(key, value)

    def set_all(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes under one lock; none of the values may be None."""
        if attributes and self.is_recording and not _direct.write(self.span, attributes):
            self.span.set_attributes(attributes)

    def fail(self, exc: BaseException) -> None:
        """Mark the span failed by an exception: error.type, status, exception event.

        The message and the stack trace pass the content policy: an error often quotes the prompt
        or the answer. With content off, only the type is told.
        """
        if not self.is_recording:
            return
        error_type = type(exc).__qualname__
        message = self._content.text(str(exc))
        event = {
            "exception.type": f"{type(exc).__module__}.{error_type}",
            "exception.escaped": "True",
        }
        if message is not None:
            event["exception.message"] = message
            import traceback

            trace = self._content.text("".join(traceback.format_exception(exc)))
            if trace is not None:
                event["exception.stacktrace"] = trace
        self.span.set_attribute(attr.ERROR_TYPE, error_type)
        self.span.set_status(Status(StatusCode.ERROR, message or error_type))
        self.span.add_event("exception", event)

    def fail_as(self, error_type: str, message: str | None = None) -> None:
        """Mark the span failed without an exception: the provider said so in its answer."""
        if self.is_recording:
            text = self._content.text(message) if message else None
            self.span.set_attribute(attr.ERROR_TYPE, error_type)
            self.span.set_status(Status(StatusCode.ERROR, text or error_type))

    def claim_end(self) -> bool:
        """Return True to the one caller that may end the span, False to every later one."""
        try:
            self._open.pop()
        except IndexError:
            return False
        return True

    def finish(self) -> bool:
        """End the span; return False when it was already ended."""
        if not self.claim_end():
            return False
        self.span.end()
        return True


def end_safely(end: Callable[[], object]) -> None:
    """Run what ends a span from a finalizer, now or, where it could deadlock, a little later.

    A garbage collection can run inside any Python code of this thread, also where the SDK holds
    one of its locks, which are not reentrant. Then the end waits for the next call or flush.
    """
    if _is_inside_locking_code(sys._getframe(1)):
        _orphans.append(end)
    else:
        end()


def end_orphans() -> None:
    """End the spans whose owner was collected at a moment when they could not be ended."""
    while _orphans:
        try:
            end = _orphans.popleft()
        except IndexError:
            return
        with guard("end of an abandoned call"):
            end()


def _is_inside_locking_code(frame: FrameType | None) -> bool:
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        name = frame.f_code.co_name
        if name != "__del__":
            if module == "threading" and name not in _THREAD_MAIN:
                return True
            # LangChain's callback holds no lock, and is on the stack of an ordinary close.
            if module.startswith(_LOCKING_MODULES) and not module.startswith("tollway.langchain"):
                return True
        frame = frame.f_back
    return False
