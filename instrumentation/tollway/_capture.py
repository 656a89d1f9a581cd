"""Own the content policy: what of prompts and answers may leave the process, and in what form."""

from __future__ import annotations

import json
import math
import string
from collections.abc import Callable, Mapping
from typing import Any

from tollway._guard import warn_once

Redaction = Callable[[str], str | None]
CaptureContent = bool | Redaction | None

DEFAULT_MAX_CHARS = 32_768
MAX_JSON_CHARS = 1_000_000
"""One attribute is kept under this: a receiver takes 4 to 16 MiB a request, of many spans."""
_MAX_DEPTH = 24
_MAX_ITEMS = 20_000
_MEDIA_KEYS = frozenset({"data", "base64", "file_data", "b64_json", "bytes"})
_BASE64_ALPHABET = frozenset(string.ascii_letters + string.digits + "+/=-_\r\n")
_STRUCTURE_KEYS = frozenset(
    {"role", "type", "id", "name", "finish_reason", "modality", "mime_type", "sha256"}
)
_MESSAGES_DEPTH = 4  # [message] > message > [part] > part > a medium's summary


class Content:
    """Decides whether content is recorded, and cleans, redacts and bounds what is.

    capture_content: False records none, True or None all, a function redacts each string (None
    from it drops the string). max_chars: longer strings are cut, with a mark.
    """

    __slots__ = ("_redact", "enabled", "max_chars")

    def __init__(
        self, capture_content: CaptureContent = None, *, max_chars: int = DEFAULT_MAX_CHARS
    ) -> None:
        self.enabled = capture_content is not False
        self._redact = capture_content if callable(capture_content) else None
        self.max_chars = max_chars

    def text(self, value: str) -> str | None:
        """Return a string redacted, cleaned and cut; None when it must not leave."""
        if not self.enabled:
            return None
        return self.always(value)

    def always(self, value: str) -> str | None:
        """Return a string as `text` does, also where content is off: the app asked to send it."""
        redacted = self._redacted(value)
        if redacted is None:
            return None
        return self._cut(clean(redacted), self.max_chars)

    def json(self, value: Any) -> str | None:
        """Return JSON of a value with every string in it treated as `text` does.

        Depth, number of items and size are bounded, base64 media becomes its type, size and
        sha256, objects become their fields. None when content is off. Never raises.
        """
        return self._json(value, structure_depth=-1)

    def quoted(self, value: str) -> str | None:
        """Return a string as a JSON literal where nothing has to be done to it; else None.

        A short cut of 2 µs for the 20 of `messages`; a None does not mean that it must stay.
        """
        if self._redact is not None or len(value) > self.max_chars or not self.enabled:
            return None
        literal = _quote(value)
        if "\\u0000" in literal or ";base64," in literal:
            return None
        return literal if literal.isascii() or _is_utf8(literal) else None

    def messages(self, value: Any) -> str | None:
        """Return JSON of messages in the OTel GenAI form ([{role, parts: [{type, …}]}]).

        As `json`, but what makes the form (roles, part types, ids, tool names) is not redacted.
        """
        return self._json(value, structure_depth=_MESSAGES_DEPTH)

    def _json(self, value: Any, structure_depth: int) -> str | None:
        if not self.enabled:
            return None
        if self._redact is None:
            plain = _plain_json(value)
            if plain is not None and len(plain) <= self.max_chars and not _has_media(plain):
                return plain
        limit = self.max_chars
        while True:
            text = json.dumps(
                _Walk(self, limit, structure_depth).value(value, 0), ensure_ascii=False
            )
            if len(text) <= MAX_JSON_CHARS or limit <= 64:
                break
            limit //= 8
        return text if len(text) <= MAX_JSON_CHARS else '"[too large]"'

    def _redacted(self, value: str) -> str | None:
        if self._redact is None:
            return value
        try:
            redacted = self._redact(value)
        except Exception as exc:  # noqa: BLE001 - the app's function; fails closed: nothing leaves
            warn_once(
                f"redaction: {type(exc).__name__}",
                f"the capture_content function raised {type(exc).__name__}; what it was given "
                "is not recorded",
                exc_info=exc,
            )
            return None
        return redacted if isinstance(redacted, str) else None

    @staticmethod
    def _cut(value: str, limit: int) -> str:
        if len(value) <= limit:
            return value
        return f"{value[:limit]}…[cut {len(value) - limit} characters]"


class _Walk:
    """One pass over a value on its way to JSON, with its bounds."""

    __slots__ = ("_content", "_items_left", "_limit", "_structure_depth")

    def __init__(self, content: Content, limit: int, structure_depth: int) -> None:
        self._content = content
        self._limit = limit
        self._structure_depth = structure_depth
        self._items_left = _MAX_ITEMS

    def value(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._string(value)
        if value is None or isinstance(value, (int, float)):
            return _number(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return media_summary(bytes(value), "bytes")
        if depth >= _MAX_DEPTH:
            return "[too deep]"
        self._items_left -= 1
        if self._items_left < 0:
            return "[too many items]"
        return self._container(value, depth)

    def _container(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, (list, tuple, set, frozenset)):
            kept = []
            for item in value:
                kept.append(self.value(item, depth + 1))
                if self._items_left < 0:
                    break
            return kept
        fields = fields_of(value)
        if fields:
            return self._mapping(fields, depth)
        return self._string(_described(value))

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, item in value.items():
            name = clean(key if isinstance(key, str) else _described(key))[:256]
            if key in _MEDIA_KEYS and isinstance(item, str) and len(item) > 256:
                kept[name] = _base64_summary(item, _declared_type(value)) or self._string(item)
            elif depth <= self._structure_depth and name in _STRUCTURE_KEYS and _is_short(item):
                kept[name] = clean(item)
            else:
                kept[name] = self.value(item, depth + 1)
            if self._items_left < 0:
                break
        return kept

    def _string(self, value: str) -> Any:
        if value.startswith("data:") and ";base64," in value[:256]:
            head, _, body = value.partition(";base64,")
            return _base64_summary(body, head[5:]) or "[unreadable media]"
        redacted = self._content._redacted(value)
        return None if redacted is None else self._content._cut(clean(redacted), self._limit)


def _number(value: float | None) -> Any:
    """Return a number as JSON can hold it: no NaN, nothing past 64 bits."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or abs(value) < 2**63 else hex(int(value))[:64]


def clean(value: str) -> str:
    """Return a string that UTF-8 and a database take: no lone surrogates, no NUL."""
    if value.isascii():
        return value.replace("\x00", "\ufffd") if "\x00" in value else value
    try:
        value.encode()
    except UnicodeEncodeError:
        value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value.replace("\x00", "\ufffd")


def media_summary(data: bytes, media_type: str) -> dict[str, Any]:
    """Return what is recorded in the place of media: type, size in bytes and sha256."""
    import hashlib  # 6 ms at import, and few apps send media

    return {"type": media_type, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def fields_of(value: Any) -> dict[str, Any]:
    """Return an object's public fields (pydantic's extra ones too), {} when it has none."""
    fields = getattr(value, "__dict__", None)
    if not isinstance(fields, dict):
        return {}
    public = {k: v for k, v in fields.items() if isinstance(k, str) and not k.startswith("_")}
    extra = getattr(value, "__pydantic_extra__", None)
    return {**public, **extra} if isinstance(extra, dict) else public


# Made once: json.dumps makes an encoder at each call that differs from its defaults. A cycle ends
# in a RecursionError, so it is not looked for.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False).encode


# The C function behind the encoder, for one string: quotes and escapes, non-ASCII as it is.
_quote = json.encoder.encode_basestring


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain_json(value: Any) -> str | None:
    """Return JSON by the C encoder alone; None where the value needs the walk."""
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError):
        return None
    if "\\u0000" in text:
        return None
    return text if text.isascii() or _is_utf8(text) else None


def _is_short(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 256


def _has_media(text: str) -> bool:
    # Five searches by `in` take 0.3 µs, one by a regular expression ten times that.
    return (
        "base64" in text
        or '"blob"' in text
        or "input_audio" in text
        or "file_data" in text
        or "b64_json" in text
    )


def _base64_summary(body: str, media_type: str) -> dict[str, Any] | None:
    """Return the summary of base64 media; None of a string that does not look like it."""
    if not _BASE64_ALPHABET.issuperset(body[:256]):
        return None
    import base64

    padded = body + "=" * (-len(body) % 4)
    try:
        data = base64.b64decode(padded, altchars=b"-_" if "-" in body or "_" in body else None)
    except ValueError:
        data = body.encode("utf-8", "replace")  # cut or broken: as it came
    return media_summary(data, clean(media_type)[:128] or "unknown")


def _declared_type(holder: Mapping[Any, Any]) -> str:
    for key in ("mime_type", "media_type", "format", "filename"):
        declared = holder.get(key)
        if isinstance(declared, str):
            return declared
    return "unknown"


def _described(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - any object's own __str__
        return f"<{type(value).__name__}>"
