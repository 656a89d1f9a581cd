"""What an alert looks like to a receiver: plain JSON, Slack's form, an OTLP log event."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from tollway_processor.quoting import quote_string
from tollway_processor.signals.alerts.changes import VERDICT, Alert
from tollway_processor.signals.sides import WHOLE_ROUTE

EVENT = "tollway.signal.changed"
_SEVERITIES = {
    "CHEAPER_BUT_WORSE": (17, "ERROR"),
    "ROLLBACK": (17, "ERROR"),
    "REGRESSED": (13, "WARN"),
}
_INFO = (9, "INFO")  # severity numbers of the OpenTelemetry log data model


def title(alert: Alert) -> str:
    """Return one line: what changed, where."""
    place = alert.route if alert.cohort == WHOLE_ROUTE else f"{alert.route} / {alert.cohort}"
    subject = "" if alert.metric in (VERDICT, "cheaper_but_worse") else f" {alert.metric}"
    return f"{alert.state}:{subject} {place}: {alert.candidate} against {alert.baseline}".replace(
        ":  ", ": "
    )


def statement(alert: Alert) -> str:
    """Return SQL that shows the signals behind the alert."""
    where = " AND ".join(
        f"{name} = {quote_string(str(getattr(alert, name)))}"
        for name in ("route", "baseline", "candidate")
    )
    return f"SELECT * FROM latest_route_signals WHERE {where} ORDER BY state, cohort, metric"


def plain(alert: Alert, link: str) -> dict[str, Any]:
    """Return the alert as JSON: its columns, a title, SQL, and the configured link."""
    return {
        "title": title(alert),
        **asdict(alert),
        "examples": list(alert.examples),
        "sql": statement(alert),
        "link": fill(link, alert),
    }


def slack(alert: Alert, link: str) -> dict[str, Any]:
    """Return the alert as a message of Slack's incoming webhooks.

    https://docs.slack.dev/messaging/formatting-message-text: &, < and > are the only escapes.
    """
    lines = [f"*{_escaped(title(alert))}*", _escaped(alert.reason)]
    if alert.examples:
        lines.append("Traces: " + ", ".join(f"`{trace_id}`" for trace_id in alert.examples))
    lines.append(f"```{_escaped(statement(alert))}```")
    if link:
        lines.append(f"<{fill(link, alert)}|Open>")
    text = "\n".join(lines)
    return {
        "text": f"{_escaped(title(alert))}: {_escaped(alert.reason)}",
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text[:3000]}}],
    }


def otlp(alert: Alert, link: str) -> dict[str, Any]:
    """Return the alert as an OTLP/JSON request of one log event."""
    attributes = {f"tollway.alert.{name}": value for name, value in plain(alert, link).items()}
    raised = datetime.strptime(alert.raised_at, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
    number, text = _SEVERITIES.get(alert.state, _INFO)
    record = {
        "timeUnixNano": str(int(raised.timestamp() * 1e9)),
        "severityNumber": number,
        "severityText": text,
        "eventName": EVENT,
        "body": {"stringValue": title(alert)},
        "attributes": [
            {"key": key, "value": _value(value)} for key, value in attributes.items() if value
        ],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "tollway"}}]}
    scope = {"name": "tollway.alerts"}
    logs = [{"scope": scope, "logRecords": [record]}]
    return {"resourceLogs": [{"resource": resource, "scopeLogs": logs}]}


def fill(link: str, alert: Alert) -> str:
    """Return a link with the alert's own words in it, each escaped for a URL."""
    for name in ("route", "cohort", "baseline", "candidate", "metric"):
        link = link.replace("{" + name + "}", quote(str(getattr(alert, name)), safe=""))
    return link


def _value(value: object) -> dict[str, Any]:
    if isinstance(value, list):
        return {"arrayValue": {"values": [{"stringValue": str(item)} for item in value]}}
    return {"stringValue": str(value)}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
