"""What ClickHouse's HTTP interface says of an answer: its status and its content type."""

from __future__ import annotations

import re

# HTTPHandler's exceptionCodeToHTTPStatus in ClickHouse; every other code is a 500.
_STATUS = {
    **dict.fromkeys((194,), 401),  # REQUIRED_PASSWORD
    **dict.fromkeys((192, 193, 497, 516), 403),  # unknown user, wrong password, denied
    **dict.fromkeys((36, 38, 41, 53, 62, 69, 43, 70, 72, 26, 27, 6, 131, 306, 456, 457), 400),
    **dict.fromkeys((16, 46, 47, 60, 81, 50, 56, 73, 115, 372), 404),  # UNKNOWN_…
    **dict.fromkeys((381,), 411),  # HTTP_LENGTH_REQUIRED
    **dict.fromkeys((159,), 408),  # TIMEOUT_EXCEEDED
    **dict.fromkeys((230,), 413),  # QUERY_IS_TOO_LARGE
    **dict.fromkeys((48,), 501),  # NOT_IMPLEMENTED
    **dict.fromkeys((76, 202, 209, 236), 503),  # cannot open, too many queries, timeout, closing
}
_CONTENT_TYPES = (
    (re.compile(r"JSON(?!.*EachRow).*|.*EachRow.*|NDJSON", re.I), "application/json"),
    (re.compile(r"CSV.*", re.I), "text/csv; charset=UTF-8"),
    (re.compile(r"(TSV|TabSeparated|TSKV|Raw$).*", re.I), "text/tab-separated-values"),
    (re.compile(r"(Pretty|Vertical|Values|Markdown|SQLInsert|XML|LineAsString).*", re.I), ""),
)


def status_of(code: int) -> int:
    """Return the HTTP status that ClickHouse gives for one of its error codes."""
    return _STATUS.get(code, 500)


def content_type(result_format: str | None) -> str:
    """Return the Content-Type of a result in a format; None for a statement without one."""
    for pattern, name in _CONTENT_TYPES:
        if result_format and pattern.fullmatch(result_format):
            return name or "text/plain; charset=UTF-8"
    return "application/octet-stream" if result_format else "text/plain; charset=UTF-8"
