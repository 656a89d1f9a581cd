"""Who is told of alerts, and of which; the table [alerts] of tollway.toml."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["webhook", "slack", "command", "otlp"]
TellingState = Literal[
    "CHEAPER_BUT_WORSE", "ROLLBACK", "PROMOTE", "HOLD", "REGRESSED", "HELD", "IMPROVED"
]
# States that stand for a whole family of signals, tested together. Single signals are each right
# with 95 %: of thirty equal ones at least one would alarm in every second week.
DEFAULT_STATES: tuple[TellingState, ...] = ("CHEAPER_BUT_WORSE", "ROLLBACK", "PROMOTE", "HOLD")


class ReceiverConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One receiver of alerts."""

    name: str
    """Its name, which `alert_deliveries` keeps: renamed, it is a new receiver."""

    kind: Kind
    """webhook: POST of JSON; slack: POST of Slack's form (Mattermost, Discord's /slack too);
    command: JSON on its stdin; otlp: a log event to an OTLP/HTTP receiver."""

    url: str = ""
    """Where webhook, slack and otlp post to (otlp: without /v1/logs)."""

    url_env: str = ""
    """Environment variable that holds the URL, for URLs that are secrets."""

    headers: dict[str, str] = {}
    """HTTP headers to add, an Authorization for instance."""

    command: list[str] = []
    """Program and arguments of kind command; no shell is involved."""

    routes: list[str] = []
    """Routes told of; none named means all."""

    states: tuple[TellingState, ...] = DEFAULT_STATES
    """States told of; REGRESSED, HELD and IMPROVED of single guardrails can be added. HOLD, HELD
    and IMPROVED are told only after something else was."""

    timeout_s: float = 15.0
    """Seconds that one try may take."""


class AlertsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Alerts on changes of state."""

    receivers: list[ReceiverConfig] = []
    """Who is told; without any, alerts are still kept in the table `alerts`."""

    link: str = ""
    """Address to put into each alert; {route}, {cohort}, {baseline}, {candidate} are filled in."""

    give_up_s: float = 86_400.0
    """Seconds after which an alert that no try could deliver is given up."""
