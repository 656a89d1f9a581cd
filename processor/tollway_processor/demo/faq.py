"""The sample app's faq route: one call of the plain `openai` client, streamed or not.

An ordinary program that knows nothing of Tollway; agent.py serves it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

SYSTEM: Final = (
    "You answer questions about the Larkspur shop from its help pages. "
    'Answer with one JSON object: {"answer": string, "article": string}. '
    "Keep the answer under sixty words, name the section of the page, and say so "
    "when the pages do not know."
)


def answer_question(client: OpenAI, text: str, model: str, *, stream: bool) -> str:
    """Return the model's answer to `text`, put together from its chunks if streamed."""
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": text},
    ]
    if stream:
        return "".join(_streamed(client, messages, model))
    completion = client.chat.completions.create(model=model, messages=messages)
    return completion.choices[0].message.content or ""


def _streamed(
    client: OpenAI, messages: list[ChatCompletionMessageParam], model: str
) -> Iterable[str]:
    chunks = client.chat.completions.create(
        model=model, messages=messages, stream=True, stream_options={"include_usage": True}
    )
    for chunk in chunks:
        if chunk.choices:
            yield chunk.choices[0].delta.content or ""
