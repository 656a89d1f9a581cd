"""Own the environment variables of the library: what each says when an argument does not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tollway._guard import warn_once

if TYPE_CHECKING:
    from tollway._capture import CaptureContent, Content

CAPTURE_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
# The GenAI variable is a boolean, or in newer conventions one of four words.
_NO = {"false", "0", "no", "off", "no_content", "event_only"}
_YES = {"true", "1", "yes", "on", "span_only", "span_and_event"}


def content(given: CaptureContent, max_chars: int | None) -> Content:
    """Return the content policy: as given, else as the environment says, else everything."""
    from tollway._capture import DEFAULT_MAX_CHARS, Content

    capture = given if given is not None else _choice(None, CAPTURE_VARIABLE, default=True)
    limit = _size(max_chars, "TOLLWAY_MAX_CONTENT_CHARS", default=DEFAULT_MAX_CHARS)
    return Content(capture, max_chars=limit)


def stream_usage(given: bool | None) -> bool:
    """Return whether to ask for token counts in streams; on unless told otherwise."""
    return _choice(given, "TOLLWAY_STREAM_USAGE", default=True)


def tool_definitions(given: bool | None) -> bool:
    """Return whether to record the tools offered to a model; off unless told otherwise."""
    return _choice(given, "TOLLWAY_CAPTURE_TOOL_DEFINITIONS", default=False)


def _choice(given: bool | None, variable: str, *, default: bool) -> bool:
    """Return a switch: as given, else as the environment says, else its default."""
    if given is not None:
        return given
    value = os.environ.get(variable, "").strip().lower()
    if value in _NO or value in _YES:
        return value in _YES
    if value:
        warn_once(f"environment: {variable}", f"{variable}={value!r} is no yes or no; ignored")
    return default


def _size(given: int | None, variable: str, *, default: int) -> int:
    """Return a positive size: as given, else as the environment says, else its default."""
    if given is not None:
        return max(1, given)
    value = os.environ.get(variable, "").strip()
    if value.isdigit() and int(value) > 0:
        return int(value)
    if value:
        warn_once(f"environment: {variable}", f"{variable}={value!r} is no size; ignored")
    return default
