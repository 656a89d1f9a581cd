"""The sample support agent: an ordinary app that serves tickets, observed by Tollway.

Its only Tollway code is `instrument`, `session`, `route`, `score` and `outcome`. What it does with
a ticket is in faq.py and refunds.py, which know nothing of Tollway; the tickets are traffic.py's.
Addresses come from OPENAI_BASE_URL and OTEL_EXPORTER_OTLP_ENDPOINT. Progress and totals go to
stdout as lines of JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Final, NamedTuple

from openai import OpenAI
from opentelemetry import trace

import tollway
from tollway_processor.demo.answers import draw
from tollway_processor.demo.faq import answer_question
from tollway_processor.demo.refunds import build_agent, handle_refund
from tollway_processor.demo.traffic import MODELS, Session, Ticket, sessions

WORKERS: Final = 6
PROGRESS_STEP: Final = 25
ESCALATION_SHARE: Final = {"good": 0.04, "bad": 0.75}
THUMBS_DOWN_SHARE: Final = {"good": 0.06, "bad": 0.5}


class Work(NamedTuple):
    """What serving one ticket took, and how it went."""

    model_calls: int
    is_good: bool
    scores: int
    is_escalated: bool = False


class Served(NamedTuple):
    """One finished ticket; `trace_id` is kept for the survey that comes later."""

    ticket: Ticket
    trace_id: str
    work: Work


class SupportAgent:
    """Serves tickets; one instance is shared by all threads."""

    def __init__(self) -> None:
        self._client = OpenAI(max_retries=1)
        self._agents = {model: build_agent(model) for model in MODELS.values()}
        self._tracer = trace.get_tracer("support-agent")
        self._serve: dict[str, Callable[[Ticket], Work]] = {
            "faq": self._answer_question,
            "refunds": self._work_refund,
        }

    def serve_session(self, session: Session) -> list[Served]:
        """Serve a customer's tickets, one after the other."""
        with tollway.session(session.id, user=session.user):
            return [self._serve_ticket(ticket) for ticket in session.tickets]

    def _serve_ticket(self, ticket: Ticket) -> Served:
        name = f"POST /{ticket.route}"
        with (
            tollway.route(ticket.route, cohort=ticket.cohort, variant=ticket.variant),
            self._tracer.start_as_current_span(name, kind=trace.SpanKind.SERVER) as span,
        ):
            work = self._serve[ticket.route](ticket)
            trace_id = trace.format_trace_id(span.get_span_context().trace_id)
            return Served(ticket, trace_id, work)

    def _answer_question(self, ticket: Ticket) -> Work:
        stream = ticket.number % 2 == 0
        said = answer_question(self._client, ticket.text, ticket.model, stream=stream)
        return Work(1, _score_json(said), scores=1)

    def _work_refund(self, ticket: Ticket) -> Work:
        handled = handle_refund(self._agents[ticket.model], ticket.text)
        is_json = _score_json(handled.text)
        has_arguments = handled.refused_tool_calls == 0
        _score("tool_arguments_valid", passed=has_arguments)
        is_good = is_json and has_arguments
        is_escalated = _happens("escalation", ticket, ESCALATION_SHARE, is_good)
        if is_escalated:
            tollway.outcome("escalation")
        return Work(handled.model_calls, is_good, scores=2, is_escalated=is_escalated)


def send_survey(served: Served) -> bool:
    """Send a customer's thumbs down, long after the trace; return whether there was one."""
    is_down = _happens("thumbs_down", served.ticket, THUMBS_DOWN_SHARE, served.work.is_good)
    if is_down:
        tollway.outcome("thumbs_down", trace_id=served.trace_id)
    return is_down


def _score_json(said: str) -> bool:
    try:
        is_json = isinstance(json.loads(said), dict)
    except ValueError:
        is_json = False
    _score("json_valid", passed=is_json)
    return is_json


def _score(name: str, *, passed: bool) -> None:
    tollway.score(name, float(passed), label="pass" if passed else "fail")


def _happens(name: str, ticket: Ticket, shares: dict[str, float], is_good: bool) -> bool:
    return draw(name, ticket.text) < shares["good" if is_good else "bad"]


def _say(**facts: int) -> None:
    print(json.dumps(facts), flush=True)


def run(traces: int, workers: int) -> None:
    """Serve `traces` tickets and send their surveys, then flush what Tollway holds."""
    handle = tollway.instrument(service_name="support-agent")
    agent = SupportAgent()
    served: list[Served] = []
    reported = 0
    with ThreadPoolExecutor(workers) as pool:
        pending = [pool.submit(agent.serve_session, session) for session in sessions(traces)]
        try:
            for finished in as_completed(pending):
                served.extend(finished.result())
                if len(served) - reported >= PROGRESS_STEP:
                    reported = len(served)
                    _say(done=reported)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    thumbs_down = sum(send_survey(one) for one in served)
    handle.shutdown()
    _say(
        done=len(served),
        traces=len(served),
        calls=sum(one.work.model_calls for one in served),
        scores=sum(one.work.scores for one in served),
        outcomes=thumbs_down + sum(one.work.is_escalated for one in served),
    )


def main() -> None:
    """Parse the flags and run to the end of the traffic."""
    parser = argparse.ArgumentParser(description="A sample support agent, observed by Tollway.")
    parser.add_argument("--traces", type=int, default=1500, help="tickets to serve")
    parser.add_argument("--workers", type=int, default=WORKERS, help="threads that serve them")
    flags = parser.parse_args()
    run(flags.traces, flags.workers)


if __name__ == "__main__":
    main()
