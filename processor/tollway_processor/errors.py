"""The one tree of errors that the processor raises on purpose.

    TollwayError
    ├── UsageError          a flag, a config key or a name is wrong          exit 2
    ├── MissingExtraError   an optional package is not installed             exit 1
    ├── PermanentError      a sender's request can never be stored           400, INVALID_ARGUMENT
    │   └── TooLargeError   a request over a size limit                      413, RESOURCE_EXHAUSTED
    ├── RetryableError      the same request may be stored later             503, UNAVAILABLE
    │   └── OverloadError   the in-flight budget is spent                    429, RESOURCE_EXHAUSTED
    └── StoreError          the store refused or failed a statement          exit 1
        └── StoreHeldError  another process holds the embedded store         exit 1

Each message says what happened, to what, and what to do next.
"""

from __future__ import annotations


class TollwayError(Exception):
    """The root of everything that Tollway raises on purpose."""


class UsageError(TollwayError):
    """A flag, a config key or a name given by the user is wrong."""


class MissingExtraError(TollwayError):
    """A package of an optional extra is not installed."""


class PermanentError(TollwayError):
    """A request that can never be stored: its sender must not retry."""


class TooLargeError(PermanentError):
    """A request over a size limit."""


class RetryableError(TollwayError):
    """The same request may be stored later; `delay_s` says when to try again."""

    def __init__(self, message: str, *, delay_s: float = 1.0) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class OverloadError(RetryableError):
    """The budget of bytes or requests in flight is spent."""


class StoreError(TollwayError):
    """The store refused or failed a statement; `code` is ClickHouse's error code (0 unknown)."""

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class StoreHeldError(StoreError):
    """Another process holds the embedded store's folder."""
