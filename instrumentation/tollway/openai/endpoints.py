"""Own the table of endpoints: what each is called, and which extractors read it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from tollway.openai.answer import Answer
from tollway.openai.chat import chat_answer
from tollway.openai.chat_stream import ChatChunks
from tollway.openai.media import (
    ImageChunks,
    PlainChunks,
    TranscriptChunks,
    embeddings_answer,
    images_answer,
    moderation_answer,
    plain_answer,
    transcription_answer,
)
from tollway.openai.messages import chat_messages, prompt_messages
from tollway.openai.responses import ResponseEvents, response_answer, response_messages


class Chunks(Protocol):
    """What puts the chunks of a stream together."""

    def add(self, chunk: Any) -> bool:
        """Take one chunk; return whether it carries nothing but usage."""

    def answer(self, provider: str) -> Answer:
        """Return the answer as far as it has come."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How the calls of one endpoint are told.

    operation: None for one that is no model call. input_key: the body's field with the input.
    """

    name: str
    operation: str | None = None
    api_type: str | None = None
    output_type: str | None = None
    input_key: str | None = None
    read_messages: Callable[[Any], list[dict[str, Any]]] = chat_messages
    read_answer: Callable[[Any, str], Answer] = plain_answer
    chunks: Callable[[], Chunks] = PlainChunks
    takes_stream_options: bool = False
    is_response: bool = False
    is_create: bool = True
    answers_object: bool = field(init=False)
    """Whether an answer that is no JSON object is none."""

    def __post_init__(self) -> None:
        is_object = self.operation is not None and self.output_type in {None, "image"}
        object.__setattr__(self, "answers_object", is_object)


_CHAT = Endpoint(
    "chat",
    operation="chat",
    api_type="chat_completions",
    input_key="messages",
    read_answer=chat_answer,
    chunks=ChatChunks,
    takes_stream_options=True,
)
_COMPLETION = Endpoint(
    "text_completion",
    operation="text_completion",
    api_type="completions",
    input_key="prompt",
    read_messages=prompt_messages,
    read_answer=chat_answer,
    chunks=ChatChunks,
    takes_stream_options=True,
)
_RESPONSE = Endpoint(
    "chat",
    operation="chat",
    api_type="responses",
    input_key="input",
    read_messages=response_messages,
    read_answer=response_answer,
    chunks=ResponseEvents,
    is_response=True,
)
_RETRIEVE = Endpoint(
    "retrieve_response",
    operation="retrieve_response",
    api_type="responses",
    read_answer=response_answer,
    chunks=ResponseEvents,
    is_response=True,
    is_create=False,
)
_EMBEDDINGS = Endpoint(
    "embeddings",
    operation="embeddings",
    api_type="embeddings",
    input_key="input",
    read_messages=prompt_messages,
    read_answer=embeddings_answer,
)
_IMAGES = Endpoint(
    "image_generation",
    operation="image_generation",
    output_type="image",
    input_key="prompt",
    read_messages=prompt_messages,
    read_answer=images_answer,
    chunks=ImageChunks,
)
_TRANSCRIPTION = Endpoint(
    "transcription",
    operation="transcription",
    output_type="text",
    input_key="prompt",
    read_messages=prompt_messages,
    read_answer=transcription_answer,
    chunks=TranscriptChunks,
)
_SPEECH = Endpoint(
    "speech",
    operation="speech",
    output_type="speech",
    input_key="input",
    read_messages=prompt_messages,
)
_MODERATION = Endpoint(
    "moderation",
    operation="moderation",
    input_key="input",
    read_messages=prompt_messages,
    read_answer=moderation_answer,
)

_ENDPOINTS = {
    "POST /chat/completions": _CHAT,
    "POST /completions": _COMPLETION,
    "POST /responses": _RESPONSE,
    "POST /embeddings": _EMBEDDINGS,
    "POST /images/generations": _IMAGES,
    "POST /images/edits": _IMAGES,
    "POST /images/variations": _IMAGES,
    "POST /audio/transcriptions": _TRANSCRIPTION,
    "POST /audio/translations": _TRANSCRIPTION,
    "POST /audio/speech": _SPEECH,
    "POST /moderations": _MODERATION,
}
# A segment after one of these is an id, unless it is one of the words below.
# fmt: off
_COLLECTIONS = frozenset({
    "agents", "alerts", "api_keys", "artifacts", "assistants", "automations", "batches", "calls",
    "cases", "characters", "checkpoints", "completions", "containers", "conversations",
    "credentials", "deployments", "environments", "evals", "events", "file_batches", "files",
    "groups", "invites", "invocations", "items", "jobs", "messages", "models", "output_items",
    "outputs", "permissions", "projects", "responses", "roles", "runs", "sessions", "skills",
    "steps", "subagents", "templates", "threads", "turns", "uploads", "users", "vaults",
    "vector_stores", "versions", "videos", "voice_consents", "voices", "webhook_endpoints",
})
_WORDS = _COLLECTIONS | frozenset({
    "alpha", "archive", "cancel", "compact", "complete", "content", "edits", "extensions",
    "graders", "input_items", "input_tokens", "parts", "pause", "remix", "resume", "search",
    "submit_tool_outputs",
})
# fmt: on
_ID = re.compile(r"^(?!v[0-9]+((alpha|beta)[0-9]*)?$).*[0-9]")


@lru_cache(maxsize=1024)
def endpoint_of(method: str, url: str) -> Endpoint:
    """Return the endpoint of a request, by its method and URL relative to the base URL."""
    path = url.split("?", 1)[0].rstrip("/")
    if "://" in path:
        path = "/" + path.split("://", 1)[1].partition("/")[2]
    if not path.startswith("/"):
        path = "/" + path
    verb = method.upper()
    for known, endpoint in _ENDPOINTS.items():
        known_verb, _, known_path = known.partition(" ")
        if verb == known_verb and path.endswith(known_path) and _is_whole(path, known_path):
            return endpoint
    template = _template(path)
    if verb == "GET" and template.endswith("/responses/{id}"):
        return _RETRIEVE
    # Usage that is read back (GET) or of a call that was cancelled is not paid for again.
    return Endpoint(f"{verb} {template}", is_create=verb == "POST" and template[-7:] != "/cancel")


def _is_whole(path: str, known_path: str) -> bool:
    """Tell a path that is the known one behind a prefix, not one that merely ends alike."""
    prefix = path[: -len(known_path)]
    # "/chat/completions" ends in "/completions" too; it is matched first. Prefixes are versions
    # and Azure's deployments.
    return not prefix or prefix.endswith(("/v1", "/openai")) or "/deployments/" in prefix


def _template(path: str) -> str:
    """Return a path with its ids replaced, so that span names stay few."""
    kept: list[str] = []
    for segment in path.split("/"):
        is_id = bool(kept) and kept[-1] in _COLLECTIONS and segment not in _WORDS
        # No word of an API has a digit in it, but for its version; most ids have.
        is_id = is_id or len(segment) > 40 or _ID.search(segment) is not None
        kept.append("{id}" if is_id else segment)
    return "/".join(kept)
