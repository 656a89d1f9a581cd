"""Content: what is recorded of it, redacted, cleaned, cut, and never in the way."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tollway import _guard
from tollway._capture import MAX_JSON_CHARS, Content

PNG = "iVBORw0KGgo" + "A" * 66_000


def test_content_is_on_unless_the_environment_says_no(
    record: Any, wire: Any, samples: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.says(samples.chat())
    variable = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    seen = []
    for value in (None, "true", "false", "NO_CONTENT", "SPAN_ONLY"):
        if value is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, value)
        spans = record()
        ask(wire.client())
        seen.append("gen_ai.input.messages" in spans.one().attributes)
    assert seen == [True, True, False, False, True]

    spans = record(capture_content=True)
    monkeypatch.setenv(variable, "false")
    ask(wire.client())
    assert "gen_ai.input.messages" in spans.one().attributes


def test_redaction_sees_every_text_and_leaves_the_form(
    record: Any, wire: Any, samples: Any, ask: Any
) -> None:
    spans = record(capture_content=lambda text: text.replace("Ann", "***"))
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"n": "Ann"}'}}
    message = {"role": "assistant", "content": "Dear Ann", "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    client = wire.says(samples.chat(choices=[choice])).client()
    ask(client, messages=[{"role": "user", "content": "I am Ann", "name": "x"}])

    span = spans.one()
    assert "Ann" not in span.to_json()
    assert json.loads(span.attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "I am ***"}]}
    ]
    parts = json.loads(span.attributes["gen_ai.output.messages"])[0]["parts"]
    assert parts[1] == {"type": "tool_call", "id": "c", "name": "f", "arguments": {"n": "***"}}


def test_redaction_to_none_keeps_the_form_alone(
    record: Any, wire: Any, samples: Any, ask: Any
) -> None:
    spans = record(capture_content=lambda text: None)
    ask(wire.says(samples.chat()).client())

    told = json.loads(spans.one().attributes["gen_ai.input.messages"])
    assert told == [{"role": "user", "parts": [{"type": "text", "content": None}]}]


def test_redaction_that_raises_lets_nothing_out(
    record: Any, wire: Any, samples: Any, ask: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(text: str) -> str:
        raise KeyError(text)

    spans = record(capture_content=broken)
    client = wire.says(samples.chat()).client()
    assert ask(client).id == "chatcmpl-1"
    ask(client)

    assert all('"Hi"' not in span.to_json() for span in spans.all())
    assert len(caplog.records) == 1
    assert _guard.failures["redaction: KeyError"] > 1


def test_errors_are_redacted_too(record: Any, wire: Any, ask: Any) -> None:
    import openai

    spans = record(capture_content=lambda text: text.replace("Ann", "***"))
    client = wire.says({"error": {"message": "bad: Ann"}}, status=400).client()
    with pytest.raises(openai.BadRequestError):
        ask(client)

    assert "Ann" not in spans.one().to_json()


def test_long_strings_are_cut_with_a_mark(record: Any, wire: Any, samples: Any, ask: Any) -> None:
    spans = record(max_content_chars=10)
    ask(wire.says(samples.chat()).client(), messages=[{"role": "user", "content": "x" * 25}])

    told = json.loads(spans.one().attributes["gen_ai.input.messages"])
    assert told[0]["parts"][0]["content"] == "x" * 10 + "…[cut 15 characters]"


def test_cutting_length_from_the_environment(
    record: Any, wire: Any, samples: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLLWAY_MAX_CONTENT_CHARS", "5")
    spans = record()
    ask(wire.says(samples.chat()).client(), messages=[{"role": "user", "content": "x" * 25}])

    assert "xxxxx…" in spans.one().attributes["gen_ai.input.messages"]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": PNG}},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PNG}"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "image", "base64": PNG, "mime_type": "image/png"},
    ],
)
def test_media_become_type_size_and_digest(
    spans: Any, wire: Any, samples: Any, ask: Any, part: Any
) -> None:
    content = [{"type": "text", "text": "Look"}, part]
    ask(wire.says(samples.chat()).client(), messages=[{"role": "user", "content": content}])

    told = spans.one().attributes["gen_ai.input.messages"]
    assert len(told) < 1000
    assert "AAAAAAAA" not in told
    assert '"Look"' in told
    assert '"sha256"' in told
    assert '"size"' in told
    assert wire.sent()["messages"][0]["content"][1] == part


def test_digest_is_that_of_the_decoded_bytes() -> None:
    import base64

    data = b"\x89PNG" * 100
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    told = json.loads(Content().json({"url": url}) or "")
    assert told["url"] == {
        "type": "image/png",
        "size": 400,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def test_generated_media_are_summed_up(spans: Any, wire: Any) -> None:
    body = {
        "id": "r",
        "object": "response",
        "status": "completed",
        "model": "gpt-5",
        "output": [
            {"type": "image_generation_call", "id": "ig", "status": "completed", "result": PNG}
        ],
    }
    wire.says(body).client().responses.create(model="gpt-5", input="Draw")

    assert "AAAAAAAA" not in spans.one().to_json()
    assert spans.one().attributes["llm.tool_call.names"] == ("image_generation",)


def test_lone_surrogates_and_nul_are_cleaned() -> None:
    for content in (Content(), Content(lambda text: text)):
        told = content.json({"a": "x\ud83dy", "b": "\x00", "\ud800": "ok \ud83d\ude00"}) or ""
        told.encode()
        assert "\\u0000" not in told
        assert json.loads(told)["b"] == "\ufffd"
        text = content.text("a\ud800\x00b") or ""
        assert text.encode()
        assert "\x00" not in text


def test_deep_wide_cyclic_and_odd_values_become_json() -> None:
    deep: Any = "bottom"
    for _ in range(5000):
        deep = [deep]
    cyclic: dict[str, Any] = {}
    cyclic["self"] = cyclic

    class Loud:
        def __str__(self) -> str:
            raise RuntimeError("no")

        __slots__ = ()

    for value in (
        deep,
        cyclic,
        {"x": list(range(100_000))},
        {1: 2, (3, 4): {5}},
        Loud(),
        [Loud()],
        float("nan"),
        {"a": float("-inf")},
        b"\x00\xff",
        10**5000,
        {"big": "x" * 5_000_000},
        [{"k": "y" * 30_000}] * 200,
        None,
        "",
        object(),
    ):
        told = Content().json(value)
        assert told is not None
        assert len(told) <= MAX_JSON_CHARS
        json.loads(told, parse_constant=pytest.fail)


def test_models_and_dataclasses_become_their_fields() -> None:
    import dataclasses

    import pydantic

    class Model(pydantic.BaseModel, extra="allow"):
        a: int
        _hidden: int = 3

    @dataclasses.dataclass
    class Data:
        b: str

    told = json.loads(Content().json([Model(a=1, c=2), Data("x")]) or "")  # type: ignore[call-arg]  # extra fields
    assert told == [{"a": 1, "c": 2}, {"b": "x"}]


def test_export_takes_what_content_makes(spans: Any, wire: Any, samples: Any, ask: Any) -> None:
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    message = {"role": "assistant", "content": "x\ud800\x00"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    ask(wire.says(samples.chat(choices=[choice])).client())

    assert encode_spans(spans.all()).SerializeToString()
