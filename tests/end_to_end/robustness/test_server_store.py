"""A ClickHouse server as the store that goes away, is slow, restarts, or locks: said, retried, over."""

from __future__ import annotations

import asyncio

import pytest

from tollway_processor import schema_files

IMPATIENT = "[server]\ntimeout_s = 1\n"


async def send(senders, addresses, number=1):
    """Send `number` requests one after the other by both protocols."""
    for _ in range(number):
        before = senders.answers
        async with senders.on(addresses, http=1, calls=1):
            await senders.has(lambda seen=before: senders.answers > seen)


async def refused(processor, senders, words):
    """Check that both protocols are told to retry and that /readyz says why."""
    await send(senders, processor.addresses)
    assert senders.refused["HTTP 503"] >= 1, (senders, processor.said())
    assert senders.refused["UNAVAILABLE"] >= 1, senders
    assert (await asyncio.to_thread(processor.get, "/healthz"))[0] == 200
    status, said = await asyncio.to_thread(processor.get, "/readyz")
    assert status == 503
    assert words in said


async def stored_again(processor, senders, until):
    """Check that all is well without a restart, and that nothing acknowledged is missing."""
    before = len(senders.acknowledged)
    while len(senders.acknowledged) == before:
        await send(senders, processor.addresses)
    ready = await asyncio.to_thread(until, lambda: processor.get("/readyz")[0] == 200, "ready")
    assert ready
    assert senders.wrong == []
    await complete(processor, senders)


async def complete(processor, senders):
    stored = await asyncio.to_thread(processor.stored)
    assert {trace: stored.get(trace) for trace in senders.acknowledged} == senders.acknowledged


def through(processor, clickhouse):
    """Let the processor's rows be read from the server itself, past the wire."""
    processor.store = clickhouse.store_url
    return processor


async def started(serve, clickhouse, wire, load):
    line = wire(clickhouse.port)
    processor = await asyncio.to_thread(serve, line.store_url, IMPATIENT)
    senders = load(spans=20)
    await send(senders, processor.addresses)
    assert senders.acknowledged, processor.said()
    return line, through(processor, clickhouse), senders


@pytest.mark.slow
async def test_lost_connection_is_refused_until_it_is_back(serve, clickhouse, wire, load, until):
    line, processor, senders = await started(serve, clickhouse, wire, load)
    line.is_cut = True
    await refused(processor, senders, "cannot be reached")
    line.is_cut = False
    await stored_again(processor, senders, until)


@pytest.mark.slow
async def test_slow_server_is_refused_until_it_answers_in_time(
    serve, clickhouse, wire, load, until
):
    line, processor, senders = await started(serve, clickhouse, wire, load)
    line.delay_s = 3.0
    await refused(processor, senders, "did not answer in time")
    line.delay_s = 0.0
    await stored_again(processor, senders, until)


@pytest.mark.slow
async def test_lost_answer_is_asked_for_again_and_stores_one_block(serve, clickhouse, wire, load):
    line, processor, senders = await started(serve, clickhouse, wire, load)
    line.swallowed = 1
    before = len(senders.acknowledged)
    await send(senders, processor.addresses)
    assert line.swallowed == 0
    assert len(senders.acknowledged) > before
    assert not senders.refused, "the processor sent the block again by itself"
    await complete(processor, senders)
    ids = ", ".join(f"'{trace}'" for trace in senders.acknowledged)
    # Of one commit: the roll-up writes a span's row again where its status changes.
    sql = f"SELECT trace_id, span_id, ingested_at FROM spans WHERE trace_id IN ({ids}) GROUP BY ALL"
    rows = await asyncio.to_thread(processor.rows, f"{sql} HAVING count() > 1 SETTINGS final = 0")
    assert rows == [], "the token tells the server that it has the block"


@pytest.mark.slow
async def test_server_killed_in_the_middle_of_batches_costs_no_acknowledged_span(
    serve, clickhouse, load, until
):
    processor = await asyncio.to_thread(serve, clickhouse.store_url, IMPATIENT)
    senders = load(spans=20)
    async with senders.on(processor.addresses, http=4, calls=4):
        for _ in range(2):
            before = len(senders.acknowledged)
            await senders.has(lambda seen=before: len(senders.acknowledged) > seen)
            await asyncio.to_thread(clickhouse.kill)
            refusals = senders.refused.total()
            await senders.has(lambda seen=refusals: senders.refused.total() > seen)
            await asyncio.to_thread(clickhouse.start)
        before = len(senders.acknowledged)
        await senders.has(lambda seen=before: len(senders.acknowledged) > seen)
    await stored_again(processor, senders, until)


@pytest.mark.slow
async def test_two_processors_on_one_server_roll_up_every_trace_once(
    serve, clickhouse, load, until
):
    one, two = [await asyncio.to_thread(serve, clickhouse.store_url, IMPATIENT) for _ in range(2)]
    first, second = load(spans=5, seed=7), load(spans=5, seed=8)
    async with first.on(one.addresses, http=2, calls=2), second.on(two.addresses, http=2, calls=2):
        await first.has(lambda: len(first.acknowledged) > 10)
        await second.has(lambda: len(second.acknowledged) > 10)
        two.process.kill()
    sent = first.acknowledged | second.acknowledged

    def rolled():
        told = one.rows("SELECT trace_id, spans FROM traces WHERE spans = calls SETTINGS final = 1")
        by_trace = {row["trace_id"]: row["spans"] for row in told}
        return all(by_trace.get(trace) == spans for trace, spans in sent.items())

    await asyncio.to_thread(until, rolled, "every trace rolled up")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("break_it", "mend_it", "words"),
    [
        (
            "ALTER TABLE spans MODIFY SETTING table_readonly = 1",
            "ALTER TABLE spans MODIFY SETTING table_readonly = 0",
            "readonly mode",
        ),
        ("RENAME TABLE spans TO away", "RENAME TABLE away TO spans", "spans"),
    ],
    ids=["readonly", "missing"],
)
async def test_table_that_takes_nothing_is_refused_until_it_is_mended(
    serve, clickhouse, load, until, break_it, mend_it, words
):
    processor = await asyncio.to_thread(serve, clickhouse.store_url, IMPATIENT)
    senders = load(spans=20)
    await send(senders, processor.addresses)
    assert senders.acknowledged, processor.said()
    await asyncio.to_thread(clickhouse.command, break_it)
    await refused(processor, senders, words)
    await asyncio.to_thread(clickhouse.command, mend_it)
    await stored_again(processor, senders, until)


@pytest.mark.slow
async def test_user_who_may_no_longer_write_is_refused_until_he_may(serve, clickhouse, load, until):
    processor = await asyncio.to_thread(serve, clickhouse.store_url, IMPATIENT)
    senders = load(spans=20)
    await send(senders, processor.addresses)
    await asyncio.to_thread(clickhouse.allow_writing, False)
    await refused(processor, senders, "readonly mode")
    await asyncio.to_thread(clickhouse.allow_writing, True)
    await stored_again(processor, senders, until)


@pytest.mark.slow
def test_tables_of_another_version_are_one_clear_line_at_the_start(clickhouse, tollway):
    assert tollway("migrate", "--store", clickhouse.store_url).returncode == 0
    newest = schema_files.names("tables")[-1]
    clickhouse.command("INSERT INTO migrations VALUES ('9999_later.sql', '', now64(3))")
    assert "newer Tollway (it has 9999_later.sql); upgrade this one" in start(tollway, clickhouse)
    clickhouse.command(
        f"ALTER TABLE migrations DELETE WHERE name IN ('9999_later.sql', '{newest}') "
        "SETTINGS mutations_sync = 2"
    )
    clickhouse.allow_writing(False)
    told = start(tollway, clickhouse)
    assert f"cannot be brought up to date ({newest} and later)" in told
    assert "let `tollway migrate` run as a user who may create and alter tables" in told
    clickhouse.allow_writing(True)
    told = tollway("migrate", "--store", clickhouse.store_url)
    assert told.returncode == 0, told.stderr


def start(tollway, clickhouse):
    """Return the one line of a processor that does not start."""
    told = tollway("serve", "--store", clickhouse.store_url, "--http", "127.0.0.1:0")
    assert told.returncode == 1
    (line,) = told.stderr.splitlines()
    return line


def test_server_that_is_not_there_at_the_start_is_one_clear_line(tollway):
    told = tollway("serve", "--store", "clickhouse://127.0.0.1:9/default", "--http", "127.0.0.1:0")
    assert told.returncode == 1
    assert len(told.stderr.splitlines()) == 1
    assert "the ClickHouse server cannot be reached" in told.stderr
