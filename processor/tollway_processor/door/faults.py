"""The door's errors in ClickHouse's words: code, text and symbolic name."""

from __future__ import annotations

import re

from tollway_processor.errors import StoreError

BAD_ARGUMENTS = 36
UNKNOWN_FUNCTION = 46
NOT_IMPLEMENTED = 48
UNKNOWN_FORMAT = 73
UNKNOWN_SETTING = 115
READONLY = 164
TOO_MANY_QUERIES = 202
ABORTED = 236
_MEMORY_LIMIT_EXCEEDED = 241
TOO_MANY_BYTES = 307
SESSION_NOT_FOUND = 372
SESSION_IS_LOCKED = 373
QUERY_WAS_CANCELLED = 394
CONSTRAINT_VIOLATION = 452
UNKNOWN_PARAMETER = 456
ACCESS_DENIED = 497
AUTHENTICATION_FAILED = 516

_NAMES = {
    BAD_ARGUMENTS: "BAD_ARGUMENTS",
    UNKNOWN_FUNCTION: "UNKNOWN_FUNCTION",
    NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
    UNKNOWN_FORMAT: "UNKNOWN_FORMAT",
    UNKNOWN_SETTING: "UNKNOWN_SETTING",
    READONLY: "READONLY",
    TOO_MANY_QUERIES: "TOO_MANY_SIMULTANEOUS_QUERIES",
    ABORTED: "ABORTED",
    TOO_MANY_BYTES: "TOO_MANY_BYTES",
    SESSION_NOT_FOUND: "SESSION_NOT_FOUND",
    SESSION_IS_LOCKED: "SESSION_IS_LOCKED",
    QUERY_WAS_CANCELLED: "QUERY_WAS_CANCELLED",
    CONSTRAINT_VIOLATION: "SETTING_CONSTRAINT_VIOLATION",
    UNKNOWN_PARAMETER: "UNKNOWN_QUERY_PARAMETER",
    ACCESS_DENIED: "ACCESS_DENIED",
    AUTHENTICATION_FAILED: "AUTHENTICATION_FAILED",
}
_NESTED = re.compile(
    r"(Code: \d+\. DB::Exception: )(?:default: )?(?:Code: \d+\. DB::Exception: )*(?:default: )?"
)
_REPEATED_NAME = re.compile(r"(\([A-Z_]+\))(?: \(version [^)]*\))?\. \1")


def fault(code: int, message: str) -> StoreError:
    """Return an error of the door's own, written as ClickHouse writes its errors."""
    return StoreError(f"Code: {code}. DB::Exception: {message}. ({_NAMES[code]})", code=code)


def tidy(error: Exception) -> StoreError:
    """Return what the engine raised as one message, its nested prefixes taken off."""
    text = _NESTED.sub(r"\1", str(error).strip(), count=1)
    text = _REPEATED_NAME.sub(r"\1", text)
    found = re.search(r"Code: (\d+)", text)
    code = int(found[1]) if found else 0
    if code == _MEMORY_LIMIT_EXCEEDED:
        text += " Read less at once, or raise sql.memory_bytes and engine.memory_bytes."
    return StoreError(text, code=code)
