"""Own the guard that keeps a failure inside the library away from the app; hooks open it."""

from __future__ import annotations

import logging
import os
from collections import Counter
from types import TracebackType

from opentelemetry import context as otel_context

logger = logging.getLogger("tollway")
failures: Counter[str] = Counter()
"""How often each kind of failure or misuse was swallowed in this process, by its kind."""


def report(where: str, exc: Exception) -> None:
    """Count a library failure, and log the first of its kind with telemetry suppressed."""
    kind = f"{where}: {type(exc).__name__}"
    warn_once(
        kind,
        f"tollway could not record a call ({kind}); the app is unaffected, and further failures "
        "of this kind are only counted",
        exc_info=exc,
    )


def warn_once(kind: str, message: str, *, exc_info: BaseException | None = None) -> None:
    """Count one occurrence of a kind, and log a warning for the first of it.

    Logging happens under suppression, so that a logging instrumentation does not trace it.
    """
    failures[kind] += 1
    if failures[kind] > 1:
        return
    suppressed = otel_context.set_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY, True)
    token = otel_context.attach(suppressed)
    try:
        logger.warning("%s", message, exc_info=exc_info)
    finally:
        otel_context.detach(token)


def swallow(where: str, exc: Exception) -> None:
    """Report a failure inside the library; raise it again while pytest runs a test."""
    if "PYTEST_CURRENT_TEST" in os.environ:
        raise exc
    report(where, exc)


class guard:  # noqa: N801 - reads as the statement it is: `with guard("..."):`
    """Swallow and report any `Exception` of the body; re-raise it while pytest runs a test."""

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(exc, Exception) or "PYTEST_CURRENT_TEST" in os.environ:
            return False
        report(self._where, exc)
        return True
