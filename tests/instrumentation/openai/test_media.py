"""Embeddings, images, sound, moderation, and everything else that goes through the client."""

from __future__ import annotations

import io
import json
from typing import Any

import openai
import pytest


def test_embeddings_tell_usage_and_never_the_vectors(spans: Any, wire: Any) -> None:
    body = {
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.123456, 0.2, 0.3]}],
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }
    client = wire.says(body).client()
    answer = client.embeddings.create(
        model="text-embedding-3-small", input=["one", "two"], encoding_format="float"
    )

    assert len(answer.data[0].embedding) == 3
    span = spans.one()
    assert span.name == "embeddings text-embedding-3-small"
    assert span.attributes["gen_ai.usage.input_tokens"] == 8
    assert span.attributes["llm.token_count.total"] == 8
    assert span.attributes["gen_ai.embeddings.dimension.count"] == 3
    assert span.attributes["gen_ai.request.encoding_formats"] == ("float",)
    assert "two" in span.attributes["gen_ai.input.messages"]
    assert "0.123456" not in span.to_json()
    assert "llm.tool_call.count" not in span.attributes


def test_images_tell_usage_and_never_the_picture(spans: Any, wire: Any) -> None:
    body = {
        "created": 1,
        "data": [{"b64_json": "QUJD" * 1000}],
        "size": "1024x1024",
        "quality": "high",
        "usage": {
            "input_tokens": 13,
            "output_tokens": 4160,
            "total_tokens": 4173,
            "input_tokens_details": {"text_tokens": 13, "image_tokens": 0},
        },
    }
    wire.says(body).client().images.generate(model="gpt-image-1", prompt="a cat")

    span = spans.one()
    assert span.attributes["gen_ai.output.type"] == "image"
    assert span.attributes["gen_ai.usage.output_tokens"] == 4160
    assert span.attributes["gen_ai.usage.text.input_tokens"] == 13
    assert span.attributes["tollway.image.count"] == 1
    assert "QUJDQUJD" not in span.to_json()


def test_transcription(spans: Any, wire: Any) -> None:
    body = {
        "text": "hello there",
        "usage": {
            "type": "tokens",
            "input_tokens": 14,
            "input_token_details": {"audio_tokens": 14, "text_tokens": 0},
            "output_tokens": 5,
            "total_tokens": 19,
        },
    }
    client = wire.says(body).client()
    sound = ("a.wav", io.BytesIO(b"RIFFDATA"))
    answer = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=sound)

    assert answer.text == "hello there"
    span = spans.one()
    assert span.name == "transcription gpt-4o-transcribe"
    assert span.attributes["gen_ai.usage.audio.input_tokens"] == 14
    assert "hello there" in span.attributes["gen_ai.output.messages"]
    assert "RIFFDATA" not in span.to_json()


@pytest.mark.parametrize("is_whole", [True, False])
def test_streamed_transcription(spans: Any, wire: Any, is_whole: bool) -> None:
    events = [
        {"type": "transcript.text.delta", "delta": "hello "},
        {"type": "transcript.text.delta", "delta": "there"},
        {
            "type": "transcript.text.done",
            "text": "hello there",
            "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 5, "total_tokens": 19},
        },
    ]
    client = wire.streams(events, done=False).client()
    # Not `transcriptions.create`, which the oldest client has without `stream`.
    stream = client.post(
        "/audio/transcriptions",
        body={"model": "gpt-4o-transcribe", "stream": True},
        cast_to=openai.types.audio.Transcription,
        stream=True,
        stream_cls=openai.Stream[openai.types.audio.Transcription],
    )
    if is_whole:
        assert [event.type for event in stream][-1] == "transcript.text.done"
    else:
        next(stream)
        stream.close()

    told = spans.one().attributes
    text = json.loads(told["gen_ai.output.messages"])[0]["parts"][0]["content"]
    assert text == ("hello there" if is_whole else "hello ")
    assert told.get("gen_ai.usage.output_tokens") == (5 if is_whole else None)
    assert told["gen_ai.output.type"] == "text"


def test_streamed_picture(spans: Any, wire: Any) -> None:
    usage = {"input_tokens": 13, "output_tokens": 272, "total_tokens": 285}
    picture = {"b64_json": "QUJD" * 1000, "size": "1024x1024", "quality": "low"}
    events = [
        {"type": "image_generation.partial_image", "partial_image_index": 0, **picture},
        {"type": "image_generation.completed", "usage": usage, **picture},
    ]
    client = wire.streams(events, done=False).client()
    client.post(
        "/images/generations",
        body={"model": "gpt-image-1", "prompt": "a cat", "stream": True},
        cast_to=object,
        stream=True,
        stream_cls=openai.Stream[object],
    ).close()
    whole = client.post(
        "/images/generations",
        body={"model": "gpt-image-1", "prompt": "a cat", "stream": True},
        cast_to=object,
        stream=True,
        stream_cls=openai.Stream[object],
    )
    assert len(list(whole)) == 2
    early, late = (span.attributes for span in spans.all())
    assert early["tollway.image.count"] == 0
    assert late["tollway.image.count"] == 1
    assert late["tollway.image.size"] == "1024x1024"
    assert late["gen_ai.usage.output_tokens"] == 272
    assert "QUJDQUJD" not in spans.all()[1].to_json()


def test_transcription_as_plain_text_and_by_duration(spans: Any, wire: Any) -> None:
    client = wire.says("just text").says({"text": "x", "usage": {"seconds": 7}}).client()
    sound = ("a.wav", b"RIFF")
    text = client.audio.transcriptions.create(model="whisper-1", file=sound, response_format="text")
    client.audio.transcriptions.create(model="whisper-1", file=sound)

    assert text == "just text"
    first, second = spans.all()
    assert "just text" in first.attributes["gen_ai.output.messages"]
    assert second.attributes["tollway.audio.seconds"] == 7.0


def test_speech(spans: Any, wire: Any) -> None:
    wire.says(b"ID3" + b"\x00" * 97, headers={"content-type": "audio/mpeg"})
    speak = wire.client().audio.speech
    whole = speak.create(model="tts-1", voice="alloy", input="hello")
    with speak.with_streaming_response.create(model="tts-1", voice="alloy", input="hi") as body:
        assert len(b"".join(body.iter_bytes())) == 100

    assert len(whole.read()) == 100
    assert [span.attributes["tollway.audio.bytes"] for span in spans.all()] == [100, 100]
    assert spans.all()[0].attributes["gen_ai.output.type"] == "speech"


def test_speech_as_events(spans: Any, wire: Any) -> None:
    usage = {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}
    events = [
        {"type": "speech.audio.delta", "audio": "SUQz" * 100},
        {"type": "speech.audio.done", "usage": usage},
    ]
    body = (
        wire.streams(events, done=False)
        .client()
        .audio.speech.create(
            model="gpt-4o-mini-tts",
            voice="alloy",
            input="hello",
            extra_body={"stream_format": "sse"},
        )
    )
    assert body.read().count(b"speech.audio") == 2

    told = spans.one().attributes
    assert told["gen_ai.usage.output_tokens"] == 101
    assert "SUQzSUQz" not in spans.one().to_json()


def test_moderation(spans: Any, wire: Any) -> None:
    body = {"id": "m", "model": "omni-moderation", "results": [{"flagged": True}]}
    wire.says(body).client().moderations.create(model="omni-moderation-latest", input="bad")

    assert spans.one().attributes["tollway.moderation.flagged"] is True
    assert spans.one().attributes["gen_ai.operation.name"] == "moderation"


def test_unknown_endpoint_gets_a_plain_span(spans: Any, wire: Any) -> None:
    body = {"model": "rerank-1", "usage": {"total_tokens": 11}, "results": []}
    client = wire.says(body).client()
    client.post("/rerank", body={"model": "rerank-1", "query": "q"}, cast_to=object)

    span = spans.one()
    assert span.name == "POST /rerank"
    assert span.attributes["gen_ai.request.model"] == "rerank-1"
    assert span.attributes["llm.token_count.total"] == 11
    assert "gen_ai.operation.name" not in span.attributes


def test_lists_assistants_and_batches_pass_unharmed(spans: Any, wire: Any) -> None:
    page = {"object": "list", "data": [{"id": "m1", "object": "model"}], "has_more": False}
    run = {"id": "run_1", "object": "thread.run", "status": "completed", "model": "gpt-4o"}
    run["usage"] = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    batch = {"id": "batch_1", "object": "batch", "status": "validating"}
    client = wire.says(page).says(run).says(run).says(batch).client()

    assert [model.id for model in client.models.list()] == ["m1"]
    one = client.post("/threads/thread_1/runs", body={"assistant_id": "a"}, cast_to=object)
    client.get("/threads/thread_1/runs/run_1", cast_to=object)
    made = client.batches.create(
        input_file_id="f", endpoint="/v1/chat/completions", completion_window="24h"
    )

    assert one["id"] == "run_1"
    assert made.status == "validating"
    assert [span.name for span in spans.all()] == [
        "GET /models",
        "POST /threads/{id}/runs",
        "GET /threads/{id}/runs/{id}",
        "POST /batches",
    ]
    counted = [span.attributes.get("llm.token_count.total") for span in spans.all()]
    assert counted == [None, 6, None, None]


async def test_async_paging_passes_unharmed(spans: Any, wire: Any) -> None:
    page = {"object": "list", "data": [{"id": "m1"}, {"id": "m2"}], "has_more": False}
    client = wire.says(page).async_client()

    assert [model.id async for model in client.models.list()] == ["m1", "m2"]
    assert spans.one().name == "GET /models"


def test_assistants_stream_passes_unharmed(spans: Any, wire: Any) -> None:
    run = {"id": "run_1", "model": "gpt-4o", "usage": {"prompt_tokens": 2, "completion_tokens": 1}}
    events = [
        f"event: thread.run.{state}\ndata: {json.dumps(run)}\n\n".encode()
        for state in ("created", "completed")
    ]
    client = wire.streams(events).client()
    stream = client.post(
        "/threads/t/runs",
        body={"assistant_id": "a", "stream": True},
        cast_to=object,
        stream=True,
        stream_cls=openai.Stream[object],
    )
    assert [event["event"] for event in stream] == ["thread.run.created", "thread.run.completed"]
    assert spans.one().attributes["gen_ai.usage.input_tokens"] == 2


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("/v1/chat/completions", "chat"),
        ("/chat/completions/chatcmpl-123", "POST /chat/completions/{id}"),
        ("/fine_tuning/jobs/ft-1/cancel", "POST /fine_tuning/jobs/{id}/cancel"),
        ("/vector_stores/vs_1/files", "POST /vector_stores/{id}/files"),
        ("/realtime/calls/rtc_u1/accept", "POST /realtime/calls/{id}/accept"),
        ("/agents/automations/auto-x/invocations", "POST /agents/automations/{id}/invocations"),
        ("/organization/groups/grp/users", "POST /organization/groups/{id}/users"),
        ("/organization/certificates/cert_9Zk", "POST /organization/certificates/{id}"),
        ("/v1beta2/unheard_of/things", "POST /v1beta2/unheard_of/things"),
        ("/unheard_of/8f14e45f/things", "POST /unheard_of/{id}/things"),
        ("/deployments/my/chat/completions?api-version=1", "chat"),
        ("https://other.example/v1/embeddings", "embeddings"),
        ("chat/completions", "chat"),
    ],
)
def test_urls_are_recognised(url: str, name: str) -> None:
    from tollway.openai.endpoints import endpoint_of

    assert endpoint_of("post", url).name == name
