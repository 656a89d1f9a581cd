"""Tells one receiver of one alert: a POST, or a command; knows nothing of retries."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tollway_processor.errors import TollwayError, UsageError
from tollway_processor.signals.alerts import messages
from tollway_processor.signals.alerts.changes import Alert
from tollway_processor.signals.alerts.config import ReceiverConfig

_MOST_ERROR_CHARACTERS = 300
_FORMS = {"webhook": messages.plain, "slack": messages.slack, "otlp": messages.otlp}


class UndeliveredError(TollwayError):
    """A receiver did not take an alert; another try may do."""


class Receiver:
    """One configured receiver, ready to be told."""

    def __init__(self, config: ReceiverConfig, url: str, link: str) -> None:
        self.config = config
        self._url = url.rstrip("/") + "/v1/logs" if config.kind == "otlp" else url
        self._link = link

    def wants(self, alert: Alert) -> bool:
        """Return whether the receiver is to be told of this alert."""
        routes = self.config.routes
        return alert.state in self.config.states and (not routes or alert.route in routes)

    async def tell(self, alert: Alert, session: aiohttp.ClientSession) -> None:
        """Tell the receiver; raises UndeliveredError when it did not take it."""
        try:
            async with asyncio.timeout(self.config.timeout_s):
                if self.config.kind == "command":
                    await self._run(alert)
                else:
                    await self._post(_FORMS[self.config.kind](alert, self._link), alert, session)
        except TimeoutError:
            raise UndeliveredError(f"no answer within {self.config.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UndeliveredError(_short(str(error) or type(error).__name__)) from error

    async def _post(
        self, body: dict[str, Any], alert: Alert, session: aiohttp.ClientSession
    ) -> None:
        # The key lets a receiver drop the second of two deliveries whose answer was lost.
        headers = {"Idempotency-Key": alert.alert_id, **self.config.headers}
        async with session.post(self._url, json=body, headers=headers) as answer:
            if answer.status >= 300:
                text = _short((await answer.text(errors="replace")).strip())
                raise UndeliveredError(f"answered {answer.status}: {text}")

    async def _run(self, alert: Alert) -> None:
        process = await asyncio.create_subprocess_exec(
            *self.config.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            body = json.dumps(messages.plain(alert, self._link)).encode()
            _, stderr = await process.communicate(body)
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if process.returncode:
            text = _short(stderr.decode(errors="replace").strip())
            raise UndeliveredError(f"the command ended with {process.returncode}: {text}")


def receivers(
    configs: Sequence[ReceiverConfig], link: str, environ: Mapping[str, str]
) -> list[Receiver]:
    """Return the configured receivers; raises UsageError naming the key that is wrong."""
    names = [config.name for config in configs]
    for index, config in enumerate(configs):
        key = f"alerts.receivers[{index}]"
        if not config.name or names.count(config.name) > 1:
            raise UsageError(f"{key}: give each receiver a name of its own")
        if (config.kind == "command") != bool(config.command):
            raise UsageError(f"{key}: kind command, and only that, needs command = [program, …]")
    return [
        Receiver(config, _url(config, f"alerts.receivers[{index}]", environ), link)
        for index, config in enumerate(configs)
    ]


def _url(config: ReceiverConfig, key: str, environ: Mapping[str, str]) -> str:
    if config.kind == "command":
        return ""
    if bool(config.url) == bool(config.url_env):
        raise UsageError(f"{key}: give one of url and url_env")
    url = config.url or environ.get(config.url_env, "")
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname:
        name = "url" if config.url else f"url_env ({config.url_env})"
        raise UsageError(f"{key}.{name} must be an http:// or https:// address")
    return url


def _short(text: str) -> str:
    return text[:_MOST_ERROR_CHARACTERS]
