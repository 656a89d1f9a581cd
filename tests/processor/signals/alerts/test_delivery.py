"""Alerts reach real receivers once each: retried while they fail, not repeated after a restart."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tollway_processor.errors import UsageError
from tollway_processor.ingest.counters import Counters
from tollway_processor.signals.alerts import delivery as delivery_module
from tollway_processor.signals.alerts.config import AlertsConfig, ReceiverConfig
from tollway_processor.signals.alerts.delivery import Delivery
from tollway_processor.signals.alerts.outbox import Outbox
from tollway_processor.signals.alerts.receivers import receivers
from tollway_processor.signals.alerts.standing import Standing
from tollway_processor.signals.evaluator import Evaluator
from tollway_processor.signals.rollup import Rollup

DEADLINE_S = 30


@asynccontextmanager
async def listening(statuses=()):
    """A server that keeps what is posted; the first answers have these statuses."""
    got, waiting = [], list(statuses)

    async def take(request):
        got.append((request.path, dict(request.headers), await request.json()))
        return web.Response(status=waiting.pop(0) if waiting else 200, text="told")

    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", got
    finally:
        await runner.cleanup()


@asynccontextmanager
async def delivering(store, *configs, link="", now_s=None, give_up_s=3600.0):
    counters = Counters()
    told = receivers(configs, link, {})
    more = {} if now_s is None else {"now_s": now_s}
    line = Delivery(Outbox(store), told, counters, give_up_s=give_up_s, **more)
    stopping = asyncio.Event()
    task = asyncio.create_task(line.run(stopping))
    try:
        yield counters
    finally:
        stopping.set()
        await task


async def until(condition):
    """Await a condition that lies in the store."""
    async with asyncio.timeout(DEADLINE_S):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 -- no event tells of a row
            await asyncio.sleep(0.01)


def finished(store, receiver):
    """What the store says was done for a receiver."""
    return store.rows(
        "SELECT outcome, attempts, error FROM alert_deliveries FINAL "
        "WHERE receiver = {r:String} ORDER BY alert_id",
        {"r": receiver},
    )


@pytest.fixture(scope="module")
def rollup(store):
    return Rollup(store)


@pytest.fixture
def found(store, rollup, play):
    """Let a broken student be found on a route; returns the alerts raised."""

    def find(route, *, is_new=True):
        if is_new:
            play(route, 40)
            rollup.run()
        raised = []

        def keep(evaluations):
            raised.extend(Outbox(store).raise_alerts(evaluations, evaluator.since_s))

        evaluator = Evaluator(store, told=keep)
        evaluator.run([route])
        return raised

    return find


async def test_webhook_is_told_once_with_examples_sql_and_link(store, found):
    alerts = found("hooked")
    assert {a.state for a in alerts} >= {"CHEAPER_BUT_WORSE", "ROLLBACK", "REGRESSED"}
    async with listening() as (url, got):
        config = ReceiverConfig(name="hook", kind="webhook", url=f"{url}/x", routes=["hooked"])
        async with delivering(store, config, link="https://grafana.test/d/1?cohort={cohort}"):
            await until(lambda: len(finished(store, "hook")) == 2)
        # a restart: another outbox over the same store, and the same finding again
        async with delivering(store, config):
            assert found("hooked", is_new=False) == []
            await until(lambda: Outbox(store).waiting("hook", 0) != [])
        assert len(got) == 2
    by_state = {body["state"]: (headers, body) for _, headers, body in got}
    assert set(by_state) == {"CHEAPER_BUT_WORSE", "ROLLBACK"}
    headers, body = by_state["CHEAPER_BUT_WORSE"]
    assert (body["route"], body["cohort"], body["candidate"]) == ("hooked", "rare", "student")
    assert headers["Idempotency-Key"] == body["alert_id"]
    assert body["link"] == "https://grafana.test/d/1?cohort=rare"
    assert len(body["examples"]) == 5
    failed = store.rows(
        "SELECT count() AS n FROM traces FINAL WHERE trace_id IN {ids:Array(String)} "
        "AND score_fails['json_valid'] = 1 AND cohort = 'rare' AND variant = 'student'",
        {"ids": body["examples"]},
    )
    assert failed[0]["n"] == 5
    shown = store.rows(body["sql"])
    assert {row["state"] for row in shown} >= {"CHEAPER_BUT_WORSE", "REGRESSED", "IMPROVED"}


async def test_failing_receiver_is_tried_again_and_holds_up_no_other(store, found, monkeypatch):
    monkeypatch.setattr(delivery_module, "FIRST_PAUSE_S", 0.01)
    found("retried")
    async with listening([500, 503, 429]) as (bad, at_bad), listening() as (good, at_good):
        one = ReceiverConfig(
            name="flaky", kind="webhook", url=bad, routes=["retried"], states=["ROLLBACK"]
        )
        two = ReceiverConfig(
            name="sound", kind="webhook", url=good, routes=["retried"], states=["ROLLBACK"]
        )
        async with delivering(store, one, two) as counters:
            await until(lambda: finished(store, "flaky") and finished(store, "sound"))
    assert len(at_bad) == 4
    assert len({headers["Idempotency-Key"] for _, headers, _ in at_bad}) == 1
    assert len(at_good) == 1
    assert finished(store, "flaky") == [{"outcome": "delivered", "attempts": 4, "error": ""}]
    assert counters.value("tollway_alert_failures_total", receiver="flaky") == 3
    assert counters.value("tollway_alerts_total", receiver="flaky", outcome="delivered") == 1


async def test_what_a_stop_leaves_open_is_told_after_the_restart(store, found):
    found("restarted")
    config = {"name": "later", "kind": "webhook", "routes": ["restarted"], "states": ["ROLLBACK"]}
    nobody = ReceiverConfig(**config, url="http://127.0.0.1:9/")
    async with delivering(store, nobody) as counters:
        await until(lambda: counters.value("tollway_alert_failures_total") > 0)
    assert finished(store, "later") == []
    async with listening() as (url, got):
        async with delivering(store, ReceiverConfig(**config, url=url)):
            await until(lambda: finished(store, "later"))
        assert [body["state"] for _, _, body in got] == ["ROLLBACK"]


async def test_alert_too_old_is_given_up_in_words(store, found, caplog):
    (alert,) = [a for a in found("old") if a.state == "ROLLBACK"]
    config = ReceiverConfig(
        name="gone", kind="webhook", url="http://127.0.0.1:9/", routes=["old"], states=["ROLLBACK"]
    )
    late_s = Evaluator(store).since_s + 28 * 86_400 + 5000
    async with delivering(store, config, now_s=lambda: late_s, give_up_s=4000.0):
        await until(lambda: finished(store, "gone"))
    (row,) = finished(store, "gone")
    assert row["outcome"] == "given_up"
    assert row["error"]
    assert "alert receiver gone" in caplog.text
    assert alert.route == "old"


async def test_slack_and_otlp_get_their_own_forms(store, found):
    found("formed <&> route")
    async with listening() as (url, got):
        slack = ReceiverConfig(
            name="slack",
            kind="slack",
            url=f"{url}/slack",
            routes=["formed <&> route"],
            states=["CHEAPER_BUT_WORSE"],
        )
        otlp = ReceiverConfig(
            name="otlp",
            kind="otlp",
            url=f"{url}/",
            routes=["formed <&> route"],
            states=["CHEAPER_BUT_WORSE"],
        )
        async with delivering(store, slack, otlp, link="https://x.test/{route}"):
            await until(lambda: finished(store, "slack") and finished(store, "otlp"))
    bodies = {path: body for path, _, body in got}
    text = bodies["/slack"]["blocks"][0]["text"]["text"]
    assert "formed &lt;&amp;&gt; route" in text
    assert "<https://x.test/formed%20%3C%26%3E%20route|Open>" in text
    assert bodies["/slack"]["text"].startswith("CHEAPER_BUT_WORSE: formed")
    (record,) = bodies["/v1/logs"]["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert (record["eventName"], record["severityText"]) == ("tollway.signal.changed", "ERROR")
    told = {a["key"]: a["value"] for a in record["attributes"]}
    assert told["tollway.alert.cohort"] == {"stringValue": "rare"}
    assert len(told["tollway.alert.examples"]["arrayValue"]["values"]) == 5


async def test_command_gets_the_alert_on_its_stdin(store, found, tmp_path, monkeypatch):
    monkeypatch.setattr(delivery_module, "FIRST_PAUSE_S", 0.01)
    found("commanded")
    script = (
        "import pathlib, sys; told = pathlib.Path(sys.argv[1]); seen = told.exists(); "
        "told.write_text(sys.stdin.read()); sys.exit('no' if not seen else 0)"
    )
    config = ReceiverConfig(
        name="command", kind="command", command=[sys.executable, "-c", script, str(tmp_path / "told")],
        routes=["commanded"], states=["ROLLBACK"],
    )  # fmt: skip
    async with delivering(store, config) as counters:
        await until(lambda: finished(store, "command"))
    assert json.loads((tmp_path / "told").read_text())["state"] == "ROLLBACK"
    assert counters.value("tollway_alert_failures_total") == 1, "the first run ends with an error"


async def test_command_that_hangs_is_ended(store, found, caplog):
    found("hanging")
    config = ReceiverConfig(
        name="hang", kind="command", command=[sys.executable, "-c", "import time; time.sleep(600)"],
        routes=["hanging"], states=["ROLLBACK"], timeout_s=0.2,
    )  # fmt: skip
    async with delivering(store, config) as counters:
        await until(lambda: counters.value("tollway_alert_failures_total") > 0)
    assert "no answer within 0.2 s" in caplog.text


def test_gauges_tell_how_candidates_stand_also_after_a_restart(store, found, rollup, play):
    found("standing")
    counters = Counters()
    standing = Standing(store, counters)
    verdict = 'tollway_route_verdict{baseline="teacher",candidate="student",route="standing",verdict="ROLLBACK"} 1'
    alarm = 'tollway_cheaper_but_worse{baseline="teacher",candidate="student",cohort="rare",route="standing"} 1'
    assert {verdict, alarm} <= set(counters.text().splitlines())
    play("standing healthy", 2)
    Evaluator(store, told=standing.update).run(rollup.run())
    healthy = [line for line in counters.text().splitlines() if 'route="standing healthy"' in line]
    assert len(healthy) == 1
    assert 'verdict="HOLD"' in healthy[0]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"name": "", "kind": "slack", "url": "https://x.test"}, "a name of its own"),
        ({"name": "a", "kind": "slack"}, "one of url and url_env"),
        ({"name": "a", "kind": "slack", "url": "x.test"}, "http:// or https://"),
        ({"name": "a", "kind": "webhook", "url_env": "UNSET"}, r"url_env \(UNSET\)"),
        ({"name": "a", "kind": "command"}, "needs command"),
        ({"name": "a", "kind": "otlp", "url": "http://x.test", "command": ["x"]}, "needs command"),
    ],
)
def test_wrong_configuration_names_the_key(told, words):
    config = AlertsConfig(receivers=[ReceiverConfig(**told)])
    with pytest.raises(UsageError, match=rf"alerts\.receivers\[0\].*{words}"):
        receivers(config.receivers, config.link, {})
