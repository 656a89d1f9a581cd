"""`tollway gate` beside a running processor: pairs, shared traffic, before and after, wrong use."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

PAIRS = 80
CHANGE_NS = time.time_ns() - 3600 * 10**9


def told(**attributes):
    return [
        KeyValue(key=key.replace("__", "."), value=AnyValue(string_value=value))
        for key, value in attributes.items()
    ]


def answers():
    """The same inputs answered by both; the student, which answers later, fails its score."""
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    for number in range(2 * PAIRS):
        is_student, pair = number % 2 == 1, number // 2
        start_ns = CHANGE_NS + (1 if is_student else -1) * (pair + 1) * 10**9
        span = spans.add(
            trace_id=(number + 1).to_bytes(16, "big"), span_id=(1).to_bytes(8, "big"), name="chat",
            start_time_unix_nano=start_ns, end_time_unix_nano=start_ns + 10**8,
            attributes=told(
                gen_ai__operation__name="chat", tollway__route="refunds",
                tollway__variant="student" if is_student else "teacher",
                tollway__pair__id=f"input-{pair}",
            ),
        )  # fmt: skip
        label = "fail" if is_student and pair % 2 else "pass"
        span.events.add(
            name="gen_ai.evaluation.result", time_unix_nano=start_ns,
            attributes=told(gen_ai__evaluation__name="cited", gen_ai__evaluation__score__label=label),
        )  # fmt: skip
    return message.SerializeToString()


def mirrored_inside():
    """One trace in which both answer: the teacher, and the student beside it."""
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    for number, variant in ((1, "teacher"), (2, "student")):
        start_ns = CHANGE_NS + number * 10**8
        spans.add(
            trace_id=(9999).to_bytes(16, "big"), span_id=number.to_bytes(8, "big"), name="chat",
            start_time_unix_nano=start_ns, end_time_unix_nano=start_ns + 10**8,
            attributes=told(
                gen_ai__operation__name="chat", tollway__route="inside", tollway__variant=variant
            ),
        )  # fmt: skip
    return message.SerializeToString()


@pytest.fixture(scope="module")
def served(serve_module, until):
    processor = serve_module()
    assert processor.post(answers())[0] == 200
    assert processor.post(mirrored_inside())[0] == 200

    def rolled_up():
        return int(processor.rows("SELECT count() AS n FROM traces FINAL")[0]["n"]) == 2 * PAIRS + 1

    until(rolled_up, "all traces")
    return processor


@pytest.fixture
def gate(served, tollway):
    def run(*more, baseline="teacher", candidate="student"):
        return tollway(
            "gate", "--store", served.store, "--route", "refunds", "--baseline", baseline,
            "--candidate", candidate, "--format", "json", *more,
        )  # fmt: skip

    return run


@pytest.mark.parametrize(
    ("stage", "is_paired"),
    [(None, True), ("checkpoint", True), ("mirror", True), ("canary", False)],
)
def test_stage_says_what_is_compared(gate, stage, is_paired):
    answer = gate(*(["--stage", stage] if stage else []))
    assert answer.returncode == 1, answer.stderr
    found = json.loads(answer.stdout)
    assert (found["verdict"], found["is_paired"]) == ("ROLLBACK", is_paired)
    assert "cited" in found["reason"]
    assert found["examples"]


def test_before_and_after_a_time_is_observational(gate):
    split = datetime.fromtimestamp(CHANGE_NS / 1e9, UTC).isoformat()
    flags = ["--by", "period", "--split", split, "--stage", "canary"]
    answer = gate(*flags, baseline="before", candidate="after")
    found = json.loads(answer.stdout)
    assert (found["verdict"], found["observational"]) == ("ROLLBACK", True)
    assert found["dimension"] == "period"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--by", "period"], "needs --split"),
        (["--split", "2026-01-01"], "needs --split"),
        (["--by", "period", "--split", "noon"], "YYYY-MM-DD"),
        (["--by", "release"], "no traces that tell a release"),
        (["--route", "inside"], "1 traces of another variant hold calls of it; a mirrored answer"),
        (["--route", "none"], "see `tollway routes`"),
        (["--candidate", "other"], "(it has: student, teacher)"),
    ],
)
def test_wrong_use_exits_3_in_one_line(gate, flags, words):
    answer = gate(*flags)
    assert (answer.returncode, answer.stdout) == (3, "")
    assert words in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
