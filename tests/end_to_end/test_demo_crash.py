"""SIGKILL of the processor in the middle of the demo's traffic loses no acknowledged span.

The demo's real agent exports through a relay that notes which spans the processor acknowledged.
While the processor is down the relay answers 503, and the agent's exporter tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tollway_processor.demo.children import Child
from tollway_processor.demo.services import agent_to, processor_on, stub_of_openai
from tollway_processor.door.client import DoorClient

CARRIER = "gen_ai.evaluation.result"
"""Name of the spans that only carry an outcome of a trace that is over: kept in `scores`."""

# Two threads, so that the traffic waits for the stub more than for this machine and outlasts the
# restart of the processor.
FLAGS = ("--traces", "500", "--workers", "2")
DEADLINE_S = 120.0


class Relay:
    """Stands between the agent and the processor; `acknowledged` holds what it saw stored."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.upstream = ""
        self.acknowledged: set[str] = set()
        self.refusals = 0

    async def traces(self, request: web.Request) -> web.Response:
        """Pass a request on, unpacked; note its spans if the processor answers 200."""
        body = await request.read()
        headers = {"Content-Type": request.content_type}
        try:
            async with self.session.post(
                f"{self.upstream}/v1/traces", data=io.BytesIO(body), headers=headers
            ) as answer:
                said = await answer.read()
        except aiohttp.ClientError:
            self.refusals += 1
            return web.Response(status=503, headers={"Retry-After": "1"})
        if answer.status == 200:
            self.acknowledged |= _identities(body)
        return web.Response(status=answer.status, body=said, content_type=answer.content_type)


@contextlib.asynccontextmanager
async def _relay() -> AsyncIterator[tuple[Relay, str]]:
    async with aiohttp.ClientSession() as session:
        relay = Relay(session)
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/traces", relay.traces)
        async with TestServer(app, host="127.0.0.1") as server:
            yield relay, str(server.make_url("")).rstrip("/")


@pytest.mark.slow
async def test_sigkill_in_mid_traffic_loses_no_acknowledged_span(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        relay, relay_url = await stack.enter_async_context(_relay())
        children = stack.enter_context(ExitStack())
        start = children.enter_context
        first, addresses = await asyncio.to_thread(start, processor_on(tmp_path))
        relay.upstream = addresses["http"]
        openai_url = await asyncio.to_thread(start, stub_of_openai())
        agent = await asyncio.to_thread(start, agent_to(relay_url, openai_url, *FLAGS))

        await _until(lambda: len(relay.acknowledged) > 0, agent)
        os.kill(first.pid, signal.SIGKILL)
        known_before = set(relay.acknowledged)
        await _until(lambda: relay.refusals > 0, agent)

        second, addresses = await asyncio.to_thread(start, processor_on(tmp_path))
        relay.upstream = addresses["http"]
        await asyncio.to_thread(agent.finish, DEADLINE_S)
        stored = await asyncio.to_thread(_stored, addresses["sql"])
        second.check()

    assert known_before
    assert known_before < relay.acknowledged
    assert relay.acknowledged - stored == set()


def _identities(body: bytes) -> set[str]:
    """Return the ids of a request's spans; of carriers, the trace that they judge."""
    request = ExportTraceServiceRequest.FromString(body)
    return {
        f"outcome of {span.trace_id.hex()}" if span.name == CARRIER else span.span_id.hex()
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def _stored(door: str) -> set[str]:
    sql = """
        SELECT span_id AS identity FROM spans FINAL
        UNION ALL
        SELECT concat('outcome of ', trace_id) FROM scores FINAL WHERE kind = 'outcome'
    """
    lines = DoorClient(door).query(sql, format="JSONEachRow")
    return {json.loads(line)["identity"] for line in lines.splitlines()}


async def _until(condition: Callable[[], bool], agent: Child) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            agent.check()
            await asyncio.sleep(0.01)
