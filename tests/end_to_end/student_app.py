"""An application that answers tickets with a language model, as its developers would write it.

Run as a process of its own: `student_app.py ENDPOINT VARIANT BASELINE TRACES [outage]`. Every
second ticket is the variant's, one in 25 is of a rare kind. Chance is a seeded generator, the
model a mock transport below the real client.
"""

from __future__ import annotations

import importlib
import json
import random
import sys

import openai

import tollway

http = importlib.import_module("httpx2" if int(openai.__version__[0]) >= 3 else "httpx")
MODELS = {"teacher": "gpt-4o"}
FAILS = {"easy": 0.02, "account-closure": 0.02}
BROKEN = {"easy": 0.02, "account-closure": 0.6}
chance = random.Random(7)
is_outage = "outage" in sys.argv


def answer(request):
    """The provider: the student-v1 of account closures forgets the form, the teacher may be down."""
    told = json.loads(request.content)
    variant, cohort = told["messages"][0]["content"].split("/")
    if variant == "teacher" and is_outage:
        return http.Response(503, json={"error": {"message": "overloaded", "code": "overloaded"}})
    fails = BROKEN if variant == "student-v1" else FAILS
    text = (
        "I closed it!" if chance.random() < fails[cohort] else '{"action": "ask", "policy": "7b"}'
    )
    return http.Response(
        200,
        json={
            "id": f"chatcmpl-{chance.getrandbits(60)}",
            "object": "chat.completion",
            "created": 1,
            "model": told["model"],
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": text},
                }
            ],
            "usage": {
                "prompt_tokens": 380 + chance.randrange(40),
                "completion_tokens": 30 + chance.randrange(9),
                "total_tokens": 450,
            },
        },
    )


def ticket(client, variant, cohort):
    """One request: labelled, answered, judged."""
    with tollway.route("refunds", cohort=cohort, variant=variant):
        try:
            told = client.chat.completions.create(
                model=MODELS.get(variant, "gpt-4o-mini"),
                messages=[{"role": "user", "content": f"{variant}/{cohort}"}],
            )
        except openai.APIError:
            return
        try:
            json.loads(told.choices[0].message.content)
            label = "pass"
        except ValueError:
            label = "fail"
        tollway.score("json_valid", label == "pass", label=label)


def main():
    """Serve the tickets, then send what was recorded."""
    endpoint, candidate, baseline, traces = sys.argv[1:5]
    handle = tollway.instrument(endpoint=endpoint, service_name="support")
    client = openai.OpenAI(
        api_key="none", max_retries=0, http_client=http.Client(transport=http.MockTransport(answer))
    )
    for number in range(int(traces)):
        cohort = "account-closure" if number // 2 % 25 == 0 else "easy"
        ticket(client, candidate if number % 2 else baseline, cohort)
        if number % 500 == 499:
            handle.flush()
    handle.shutdown()


main()
