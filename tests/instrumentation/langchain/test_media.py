"""Media in LangChain messages, in every form that an integration takes: never copied."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

RAW = bytes(range(256)) * 200
BASE64 = base64.b64encode(RAW).decode()
PNG, PDF = "image/png", "application/pdf"

BLOCKS: dict[str, dict[str, Any]] = {
    "openai": {"type": "image_url", "image_url": {"url": f"data:{PNG};base64,{BASE64}"}},
    "openai, bare": {"type": "image_url", "image_url": f"data:{PNG};base64,{BASE64}"},
    "openai file": {
        "type": "file",
        "file": {"file_data": f"data:{PDF};base64,{BASE64}", "filename": "a.pdf"},
    },
    "openai audio": {"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}},
    "langchain 0": {"type": "image", "source_type": "base64", "mime_type": PNG, "data": BASE64},
    "langchain 1": {"type": "image", "base64": BASE64, "mime_type": PNG},
    "langchain 1 file": {"type": "file", "base64": BASE64, "mime_type": PDF},
    "anthropic": {
        "type": "image",
        "source": {"type": "base64", "media_type": PNG, "data": BASE64},
    },
    "bedrock": {"image": {"format": "png", "source": {"bytes": RAW}}},
    "gemini": {"type": "media", "mime_type": PNG, "data": RAW},
}


@pytest.mark.parametrize("form", BLOCKS)
def test_media_become_size_and_digest(traced: Any, scripted: Any, form: str) -> None:
    scripted().invoke([HumanMessage([{"type": "text", "text": "see"}, BLOCKS[form]])])
    told = traced.one().attributes["gen_ai.input.messages"]
    assert len(told) < 400
    assert json.loads(told)[0]["parts"][0] == {"type": "text", "content": "see"}
    assert f'"size": {len(RAW)}' in told
    assert hashlib.sha256(RAW).hexdigest() in told
