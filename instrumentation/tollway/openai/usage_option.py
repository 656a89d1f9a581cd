"""Own the asking for token counts in streams, and which servers must not be asked.

Hiding the chunk that answers is `stream`'s and `raw`'s business.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tollway.openai.provider import Server

if TYPE_CHECKING:
    from tollway._setup import State

_REFUSAL_STATUS = {400, 404, 405, 422, 501}
_MAX_LEARNED = 1000
_refusing: set[str] = set()
_taking: set[str] = set()


def ask(options: Any, body: Mapping[str, Any], server: Server, state: State) -> tuple[Any, bool]:
    """Return request options that ask for usage, and whether that was added.

    The app's own options and body stay as they are. An app that asked, or asked not to, and a
    server known to refuse, are left alone.
    """
    if not state.stream_usage or not server.takes_usage_option or server.url in _refusing:
        return options, False
    given = body.get("stream_options")
    if given is not None and not (isinstance(given, dict) and "include_usage" not in given):
        return options, False
    if not isinstance(options.json_data, dict) or _has_extra(options):
        return options, False
    asking = copy.copy(options)
    asking.json_data = {
        **options.json_data,
        "stream_options": {**(given or {}), "include_usage": True},
    }
    return asking, True


def _has_extra(options: Any) -> bool:
    extra = getattr(options, "extra_json", None)
    return isinstance(extra, Mapping) and "stream_options" in extra


def may_be_refusal(exc: BaseException, server: Server) -> bool:
    """Tell whether an error may be the server's dislike of the option it was given."""
    if server.url in _taking or server.address == "api.openai.com":
        return False
    return getattr(exc, "status_code", None) in _REFUSAL_STATUS


def learn(server: Server, *, takes_option: bool) -> None:
    """Remember of a base URL what it made of the option."""
    known = _taking if takes_option else _refusing
    if len(known) < _MAX_LEARNED:
        known.add(server.url)
