"""One HTTP request of ClickHouse's interface, read into a statement and how to answer it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import uuid
from collections.abc import Mapping
from typing import NamedTuple

from aiohttp import web

from tollway_processor.door.encodings import decoded
from tollway_processor.door.faults import BAD_ARGUMENTS, NOT_IMPLEMENTED, TOO_MANY_BYTES, fault
from tollway_processor.door.query import Request

# Parameters of the interface itself; every other one is a setting of the statement.
_OWN_PARAMETERS = frozenset(
    {
        "buffer_size",
        "client_protocol_version",
        "compress",
        "database",
        "decompress",
        "default_format",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "session_check",
        "session_id",
        "session_timeout",
        "stacktrace",
        "user",
        "wait_end_of_query",
    }
)


class Exchange(NamedTuple):
    """A statement and the wishes of the client that sent it."""

    request: Request
    query_id: str
    accept_encoding: str
    waits_for_end: bool
    is_get: bool
    session_id: str
    session_timeout_s: float
    must_have_session: bool


def query_id_of(http: web.Request) -> str:
    """Return the client's name for its query, or a new one."""
    wanted = http.query.get("query_id", "") or http.headers.get("X-ClickHouse-Query-Id", "")
    return wanted if re.fullmatch(r"[\x21-\x7e]{1,256}", wanted) else str(uuid.uuid4())


def password_of(http: web.Request) -> str:
    """Return the password that a request carries, in any of the three ways of ClickHouse."""
    scheme, _, credentials = http.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return http.headers.get("X-ClickHouse-Key", "") or http.query.get("password", "")


async def read_exchange(http: web.Request, *, most_bytes: int) -> Exchange:
    """Read a request; StoreError (36, 48, 307) when it cannot be what it says."""
    parameters = dict(http.query)
    for name in ("compress", "decompress"):
        if _is_on(parameters, name):
            raise fault(
                NOT_IMPLEMENTED,
                f"{name}=1 (ClickHouse's own block compression) is not offered: use "
                "enable_http_compression=1 and Content-Encoding",
            )
    if http.content_type == "multipart/form-data":
        parameters |= await _form_fields(http)
        data = b""
    else:
        data = await _body(http, most_bytes)
    is_encoded = _is_on(parameters, "enable_http_compression")
    return Exchange(
        request=Request(
            body=_statement(parameters.get("query", ""), data),
            database=_database(http, parameters),
            parameters=_prefixed(parameters),
            settings=_settings(parameters),
            default_format=_default_format(http, parameters),
        ),
        query_id=query_id_of(http),
        accept_encoding=http.headers.get("Accept-Encoding", "") if is_encoded else "",
        waits_for_end=_is_on(parameters, "wait_end_of_query"),
        is_get=http.method != "POST",
        session_id=parameters.get("session_id", ""),
        session_timeout_s=_seconds(parameters.get("session_timeout", "60")),
        must_have_session=_is_on(parameters, "session_check"),
    )


async def _body(http: web.Request, most_bytes: int) -> bytes:
    try:
        body = await http.read()
    except web.HTTPRequestEntityTooLarge:
        raise fault(TOO_MANY_BYTES, f"The request is larger than {most_bytes} bytes") from None
    encoding = http.headers.get("Content-Encoding", "")
    if not encoding:
        return body
    return await asyncio.to_thread(decoded, body, encoding, most_bytes=most_bytes)


async def _form_fields(http: web.Request) -> dict[str, str]:
    """Read a form's text fields; a file is an external table, which a reader cannot bring."""
    fields: dict[str, str] = {}
    for name, value in (await http.post()).items():
        if not isinstance(value, str):
            raise fault(NOT_IMPLEMENTED, f"External table '{name}' in the request is not offered")
        fields[name] = value
    return fields


def _statement(query: str, data: bytes) -> bytes:
    """Join the URL's and the body's part of a statement, as ClickHouse does."""
    if not query:
        return data
    return query.encode() + b"\n" + data if data else query.encode()


def _database(http: web.Request, parameters: Mapping[str, str]) -> str:
    wanted = parameters.get("database") or http.headers.get("X-ClickHouse-Database", "")
    return wanted or "default"


def _default_format(http: web.Request, parameters: Mapping[str, str]) -> str:
    wanted = parameters.get("default_format") or http.headers.get("X-ClickHouse-Format", "")
    if wanted and not re.fullmatch(r"\w+", wanted):
        raise fault(BAD_ARGUMENTS, f"'{wanted}' is no name of a format")
    return wanted or "TabSeparated"


def _prefixed(parameters: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix("param_"): value
        for name, value in parameters.items()
        if name.startswith("param_")
    }


def _settings(parameters: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in parameters.items()
        if name not in _OWN_PARAMETERS and not name.startswith("param_")
    }


def _seconds(value: str) -> float:
    if not value.isdigit():
        raise fault(BAD_ARGUMENTS, f"Invalid session timeout: '{value}'")
    return float(min(int(value), 3600))  # max_session_timeout of ClickHouse's configuration


def _is_on(parameters: Mapping[str, str], name: str) -> bool:
    return parameters.get(name, "0").lower() in {"1", "true"}
