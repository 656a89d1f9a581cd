"""Own the endpoints that answer with vectors, images, sound or flags; never those themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tollway import attributes as attr
from tollway.openai.answer import Answer, Choice
from tollway.openai.fields import fields, items, number, string
from tollway.openai.usage import read_usage


def plain_answer(result: Any, provider: str) -> Answer:
    """Read model and usage where an answer of any kind has them."""
    told = fields(result)
    answer = Answer(is_chat=False)
    answer.id = string(told.get("id"))
    answer.model = string(told.get("model"))
    answer.usage = read_usage(told.get("usage"), provider)
    return answer


def embeddings_answer(result: Any, provider: str) -> Answer:
    """Read a CreateEmbeddingResponse: model, usage, dimension; not the vectors."""
    answer = plain_answer(result, provider)
    answer.id = None
    data = items(fields(result).get("data"))
    vector = fields(data[0]).get("embedding") if data else None
    if isinstance(vector, list):
        answer.extra[attr.GEN_AI_EMBEDDINGS_DIMENSION_COUNT] = len(vector)
    return answer


def images_answer(result: Any, provider: str) -> Answer:
    """Read an ImagesResponse: usage and how many; not the pictures."""
    answer = plain_answer(result, provider)
    told = fields(result)
    answer.extra[attr.IMAGE_COUNT] = len(items(told.get("data")))
    _image_facts(told, answer)
    return answer


def _image_facts(told: Any, answer: Answer) -> None:
    for key, name in (("size", attr.IMAGE_SIZE), ("quality", attr.IMAGE_QUALITY)):
        value = string(told.get(key))
        if value:
            answer.extra[name] = value


def transcription_answer(result: Any, provider: str) -> Answer:
    """Read a Transcription or Translation, verbose or not: usage in tokens or in seconds."""
    answer = plain_answer(result, provider)
    told = fields(result)
    usage = fields(told.get("usage"))
    seconds = number(usage.get("seconds"))
    if seconds is None:
        seconds = number(told.get("duration"))
    if seconds is not None:
        answer.extra[attr.AUDIO_SECONDS] = float(seconds)
    text = string(told.get("text")) or (string(result) if isinstance(result, str) else None)
    if text:
        answer.choices = [Choice(text=text)]
    return answer


class TranscriptChunks:
    """The events of a streamed transcription: text piece by piece, the whole and usage last."""

    __slots__ = ("_last", "_pieces")

    def __init__(self) -> None:
        self._last: Mapping[str, Any] = {}
        self._pieces: list[str] = []

    def add(self, event: Any) -> bool:
        """Take one event; none of them is there for usage alone."""
        told = fields(event)
        kind = told.get("type")
        if kind == "transcript.text.delta":
            piece = string(told.get("delta"))
            if piece:
                self._pieces.append(piece)
        elif kind == "transcript.text.done":
            self._last = told
        return False

    def answer(self, provider: str) -> Answer:
        """Return the answer as far as it has come."""
        return transcription_answer({"text": "".join(self._pieces), **self._last}, provider)


def moderation_answer(result: Any, provider: str) -> Answer:
    """Read a ModerationCreateResponse: whether anything was flagged."""
    answer = plain_answer(result, provider)
    results = items(fields(result).get("results"))
    if results:
        answer.extra[attr.MODERATION_FLAGGED] = any(
            fields(item).get("flagged") is True for item in results
        )
    return answer


class ImageChunks:
    """The events of a streamed picture: previews, and whole ones that carry the usage."""

    __slots__ = ("_count", "_last")

    def __init__(self) -> None:
        self._count = 0
        self._last: Mapping[str, Any] = {}

    def add(self, event: Any) -> bool:
        """Take one event; none of them is there for usage alone."""
        told = fields(event)
        if str(told.get("type")).endswith(".completed"):
            self._count += 1
            self._last = told
        return False

    def answer(self, provider: str) -> Answer:
        """Return the answer as far as it has come."""
        answer = plain_answer(self._last, provider)
        answer.extra[attr.IMAGE_COUNT] = self._count
        _image_facts(self._last, answer)
        return answer


class PlainChunks:
    """The events of a stream of any other endpoint: usage of the last that has it."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}

    def add(self, event: Any) -> bool:
        """Take one event; none of them is there for usage alone."""
        told = fields(event)
        data = fields(told.get("data"))
        for holder in (told, data):
            for key in ("id", "model", "usage"):
                if holder.get(key) is not None:
                    self._last[key] = holder[key]
        return False

    def answer(self, provider: str) -> Answer:
        """Return the answer as far as it has come."""
        return plain_answer(self._last, provider)
