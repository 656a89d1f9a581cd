"""`tollway replay`: dead letters once more, into the running processor or into the store itself."""

from __future__ import annotations

import http.client
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from tollway_processor.config import Config
from tollway_processor.errors import RetryableError, StoreHeldError, TollwayError, UsageError
from tollway_processor.ingest.commit import Commit
from tollway_processor.ingest.counters import Counters
from tollway_processor.ingest.dead_letters import DeadLetter, DeadLetters, letters_of
from tollway_processor.ingest.stamps import Stamps
from tollway_processor.receive.auth import read_token
from tollway_processor.receive.http import REPLAY_HEADER
from tollway_processor.service import clock_of, dead_letters_of
from tollway_processor.store import lock
from tollway_processor.store.client import Delivery
from tollway_processor.store.opening import folder_of, open_store

_PATIENCE_S = 30.0  # for a processor that asks to come back later
_ANSWER_S = 120.0
_CAUSE_CHARACTERS = 200


class Sender(Protocol):
    """Where letters go."""

    def send(self, letter: DeadLetter) -> str:
        """Store a letter; return why not all of it was, empty when it was.

        Raises RetryableError when nothing can be stored now.
        """


def run_replay(config: Config, environment: Mapping[str, str], url: str | None, keep: bool) -> int:
    """Send every dead letter again and delete what is stored now; returns 1 when one is left.

    `url` is a processor's OTLP/HTTP address; without it the one that holds the store is found.
    """
    dead_letters = dead_letters_of(config)
    done: Counter[str] = Counter()
    with dead_letters.set_aside() as files:
        letters = sum(1 for path in files for _ in letters_of(path))
        if letters == 0:
            print("there are no dead letters", file=sys.stderr)
            return 0
        trouble = ""
        try:
            with _sender(config, environment, url) as sender:
                for path in files:
                    _replay(dead_letters, path, sender, done, keep)
        except RetryableError as error:
            trouble = str(error)
    stored = done.pop("", 0)
    print(_summary(letters, stored, keep), file=sys.stderr)
    for cause, count in done.most_common():
        print(f"  {count} kept: {cause}", file=sys.stderr)
    if trouble:
        print(f"  stopped: {trouble[:_CAUSE_CHARACTERS]}", file=sys.stderr)
    return 0 if stored == letters else 1


def _summary(letters: int, stored: int, keep: bool) -> str:
    where = "all still there, as asked" if keep else f"{letters - stored} still there"
    return f"{stored} of {letters} dead letters stored, {where}"


def _replay(
    dead_letters: DeadLetters, path: Path, sender: Sender, done: Counter[str], keep: bool
) -> None:
    """Send one file's letters; what is stored leaves the file, also when the processor goes."""
    waiting = list(letters_of(path))
    kept: list[DeadLetter] = []
    try:
        while waiting:
            cause = sender.send(waiting[0])[:_CAUSE_CHARACTERS]
            done[cause] += 1
            letter = waiting.pop(0)
            if cause:
                kept.append(letter._replace(cause=cause))
    finally:
        if not keep:
            dead_letters.replace(path, [*kept, *waiting])


@contextmanager
def _sender(config: Config, environment: Mapping[str, str], url: str | None) -> Iterator[Sender]:
    url = url or _running(config)
    if url:
        with closing(HttpSender(url, _tokens(config, environment))) as over_http:
            yield over_http
        return
    store = open_store(
        config.store,
        retention_days=config.retention_days,
        limits=config.receive.limits,
        engine=config.engine,
        server=config.server,
        must_exist=True,
    )
    try:
        yield StoreSender(Commit(store, Stamps(clock_of(store)), Counters()))
    finally:
        store.close()


def _running(config: Config) -> str:
    folder = folder_of(config.store)
    held = lock.holder(folder) if folder is not None else None
    if held is None:
        return ""
    if not held.get("http"):
        raise StoreHeldError(
            f"the store {folder} is held by another process (pid {held.get('pid', 'unknown')}) "
            "without an OTLP/HTTP receiver; give --url, or stop it"
        )
    return held["http"]


def _tokens(config: Config, environment: Mapping[str, str]) -> dict[str, str]:
    return {
        token.project: read_token(token, f"receive.tokens[{index}]", environment)
        for index, token in enumerate(config.receive.tokens)
    }


class StoreSender:
    """Commits into a store that this process holds, as the processor does."""

    def __init__(self, commit: Commit) -> None:
        self._commit = commit

    def send(self, letter: DeadLetter) -> str:
        """See Sender.send."""
        delivery = Delivery(letter.body, letter.project, is_replay=True)
        (outcome,) = self._commit.store(letter.signal, [delivery])
        if isinstance(outcome, RetryableError):
            raise outcome
        if isinstance(outcome, TollwayError):
            return str(outcome)
        return "; ".join(f"{count} refused, {reason}" for reason, count in outcome)


class HttpSender:
    """Posts to a processor's OTLP/HTTP receiver; a letter of a project goes with its token."""

    def __init__(self, url: str, tokens: Mapping[str, str]) -> None:
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise UsageError(f"--url {url}: give http://HOST:PORT, for instance a receiver's :4318")
        kind = http.client.HTTPSConnection if address.scheme == "https" else None
        self._connection = (kind or http.client.HTTPConnection)(
            address.hostname, address.port or 4318, timeout=_ANSWER_S
        )
        self._url = url
        self._tokens = tokens

    def send(self, letter: DeadLetter) -> str:
        """See Sender.send."""
        headers = {"Content-Type": "application/x-protobuf", REPLAY_HEADER: "1"}
        if letter.project or self._tokens:
            if letter.project not in self._tokens:
                return f"no token of project {letter.project!r} is configured (receive.tokens)"
            headers["Authorization"] = f"Bearer {self._tokens[letter.project]}"
        end_s = time.monotonic() + _PATIENCE_S
        while True:
            status, delay, body = self._post(letter, headers)
            if status not in (429, 502, 503, 504):
                return _verdict(status, body)
            delay_s = float(delay) if delay.isdigit() else 1.0
            if time.monotonic() + delay_s > end_s:
                raise RetryableError(f"{self._url} answers {status}: {_verdict(status, body)}")
            time.sleep(delay_s)

    def _post(self, letter: DeadLetter, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
        try:
            self._connection.request("POST", f"/v1/{letter.signal}", letter.body, dict(headers))
            response = self._connection.getresponse()
            return response.status, response.getheader("Retry-After", ""), response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise RetryableError(f"{self._url} does not answer: {error!r}") from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _verdict(status: int, body: bytes) -> str:
    """Why a letter was not wholly stored, by its answer; empty when it was.

    The log signal's answers have the trace signal's wire form, and a google.rpc.Status has that of
    a partial success: a number, then a message.
    """
    try:
        if status == 200:
            partial = ExportTraceServiceResponse.FromString(body).partial_success
            count = partial.rejected_spans
            return f"{count} refused, {partial.error_message}" if count else ""
        return f"HTTP {status}: {ExportTracePartialSuccess.FromString(body).error_message}"
    except DecodeError:
        return f"HTTP {status}: not an OTLP answer"
