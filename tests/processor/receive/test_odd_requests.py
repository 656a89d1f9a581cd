"""What senders in the world make of the specification: odd JSON, odd HTTP, many idle connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

import aiohttp
import pytest

JSON = {"Content-Type": "application/json"}
_numbers = iter(range(1, 1 << 20))


def span(**changes):
    now_ns = time.time_ns()
    told = {
        "traceId": f"{0xB000 << 112 | next(_numbers):032x}", "spanId": "eee19b7ec3c1b174",
        "name": "odd", "kind": 3,
        "startTimeUnixNano": str(now_ns - 1000), "endTimeUnixNano": str(now_ns),
    }  # fmt: skip
    return told | changes


def body(*spans, resource_spans="resourceSpans"):
    return json.dumps({resource_spans: [{"scopeSpans": [{"spans": list(spans)}]}]}).encode()


def valued(**value):
    return span(attributes=[{"key": "odd", "value": value}])


async def post(url, data, headers=JSON):
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/traces", data=data, headers=headers) as response,
    ):
        return response.status, await response.text()


def stored(receivers, told):
    sql = "SELECT * FROM spans FINAL WHERE trace_id = {id:String}"
    rows = receivers.store.real.rows(sql, {"id": told["traceId"].lower()})
    return rows[0] if rows else None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"intValue": 5}, "5"),
        ({"intValue": "-9223372036854775808"}, "-9223372036854775808"),
        ({"intValue": 9223372036854775807}, "9223372036854775807"),
        ({"intValue": "1e3"}, "1000"),
        ({"intValue": "12.0"}, "12"),
        ({"intValue": 12.0}, "12"),
        ({"doubleValue": "NaN"}, "nan"),
        ({"doubleValue": "-Infinity"}, "-inf"),
        ({"doubleValue": 2}, "2"),
        ({"doubleValue": "2.5"}, "2.5"),
        ({"boolValue": False}, "false"),
        ({"stringValue": ""}, ""),
        ({"stringValue": "nul \0, \u2028, 😀"}, "nul \0, \u2028, 😀"),
        ({"bytesValue": "aGk="}, "aGk="),
        ({"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}, {}]}}, '["a",1,null]'),
        ({"arrayValue": {}}, "[]"),
        ({"unknownValue": 1}, ""),
        ({"stringValue": None, "intValue": "7"}, "7"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_value_in_any_of_its_spellings_is_stored(receivers, value, text):
    told = valued(**value)
    assert await post(receivers.url, body(told)) == (200, "{}")
    assert stored(receivers, told)["attributes"]["odd"] == text


@pytest.mark.parametrize(
    "value",
    [
        {"intValue": "9223372036854775808"}, {"intValue": "1.5"}, {"intValue": "1e99"},
        {"intValue": "0x10"}, {"intValue": ""}, {"doubleValue": "many"}, {"boolValue": "true"},
        {"stringValue": 5}, {"bytesValue": "%%%"},
    ],
    ids=str,
)  # fmt: skip
async def test_value_that_is_none_answers_400_and_names_its_place(receivers, value):
    status, said = await post(receivers.url, body(valued(**value)))
    assert status == 400
    assert "attributes[0]" in json.loads(said)["message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174"},
        {"kind": "SPAN_KIND_CLIENT"},
        {"kind": 99},
        {"parentSpanId": None, "attributes": None, "events": None, "links": [], "status": None},
        {"parentSpanId": "", "traceState": "a=b", "flags": 257, "status": {}},
        {"attributes": [{"key": "a"}, {"key": "b", "value": None}, {"value": {"intValue": 1}}, {}]},
        {"somethingNew": {"deep": [1, {"er": None}]}},
        {"events": [{}], "links": [{}]},
    ],
    ids=str,
)
async def test_span_in_any_of_its_spellings_is_stored(receivers, changes):
    told = span(**changes)
    assert await post(receivers.url, body(told)) == (200, "{}")
    assert stored(receivers, told)["name"] == "odd"


async def test_byte_order_mark_is_passed_over(receivers):
    told = span()
    assert await post(receivers.url, b"\xef\xbb\xbf" + body(told)) == (200, "{}")
    assert stored(receivers, told)


async def test_protos_own_names_are_not_taken_for_an_empty_request(receivers):
    status, said = await post(receivers.url, body(span(), resource_spans="resource_spans"))
    assert (status, '"resourceSpans"' in json.loads(said)["message"]) == (400, True)
    both = json.dumps({"resourceSpans": [], "resource_spanners": [1]}).encode()
    assert await post(receivers.url, both) == (200, "{}")


async def exchange(receivers, *pieces, pause=None):
    """Send raw bytes over one connection and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", receivers.http.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        if pause is not None:
            await pause(reader)
    async with asyncio.timeout(20):
        said = await reader.read()
    writer.close()
    return said


def head(data, *more, version="1.1"):
    lines = ["Host: x", "Content-Type: application/json", f"Content-Length: {len(data)}", *more]
    return (f"POST /v1/traces HTTP/{version}\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode()


async def test_pipelined_requests_are_answered_in_order(receivers):
    told = [span(), span(traceId="00"), span()]
    ends = [[], [], ["Connection: close"]]
    requests = [head(body(s), *end) + body(s) for s, end in zip(told, ends, strict=True)]
    said = await exchange(receivers, b"".join(requests))
    assert said.count(b"HTTP/1.1 200") == 3
    assert said.index(b"partialSuccess") < said.rindex(b"HTTP/1.1 200")
    assert stored(receivers, told[0])
    assert stored(receivers, told[2])


async def test_sender_that_asks_before_it_sends_is_told_to_go_on(receivers):
    told = span()

    async def wait(reader):
        if not seen:
            seen.append(await reader.readuntil(b"\r\n\r\n"))

    seen = []
    expecting = head(body(told), "Expect: 100-continue", "Connection: close")
    said = await exchange(receivers, expecting, body(told), pause=wait)
    assert seen == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    assert said.startswith(b"HTTP/1.1 200")
    assert stored(receivers, told)


async def test_sender_of_the_first_http_is_answered(receivers):
    told = span()
    said = await exchange(receivers, head(body(told), version="1.0") + body(told))
    assert said.startswith(b"HTTP/1.0 200")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
async def test_other_methods_are_told_which_one_is_taken(receivers, method):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{receivers.url}/v1/traces") as response,
    ):
        assert (response.status, response.headers["Allow"]) == (405, "POST")


async def test_idle_and_crawling_connections_keep_nobody_out(receivers):
    async with contextlib.AsyncExitStack() as stack:
        for number in range(1000):
            _, writer = await asyncio.open_connection("127.0.0.1", receivers.http.port)
            stack.callback(writer.close)
            if number % 5 == 0:  # these begin a body and leave it there
                writer.write(head(b" " * 1000) + b"{")
        told = span()
        assert await post(receivers.url, body(told)) == (200, "{}")
        assert stored(receivers, told)


async def test_sender_that_hangs_up_before_its_answer_is_stored(receivers, eventually):
    told = span()
    receivers.store.gate.clear()
    _, writer = await asyncio.open_connection("127.0.0.1", receivers.http.port)
    writer.write(head(body(told)) + body(told))
    await writer.drain()
    await eventually(lambda: receivers.intake.budget.requests == 1)
    writer.close()
    receivers.store.gate.set()
    await eventually(lambda: stored(receivers, told) is not None)
    await eventually(lambda: receivers.intake.budget.requests == 0)
