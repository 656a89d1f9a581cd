"""The processor's configuration: flags over environment over tollway.toml over defaults."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tollway_processor.errors import UsageError
from tollway_processor.ingest.config import BatchConfig, DeadLetterConfig
from tollway_processor.logs import LogFormat
from tollway_processor.pricing.config import PricesConfig, normalised
from tollway_processor.receive.limits import ReceiveConfig
from tollway_processor.signals.alerts.config import AlertsConfig
from tollway_processor.signals.policy import SignalsConfig
from tollway_processor.store.config import EngineConfig, ServerConfig

DEFAULT_STORE = "chdb:tollway-data"


class SqlConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The SQL door: reads over ClickHouse's HTTP interface."""

    listen: str = "127.0.0.1:0"
    """HOST:PORT of the SQL door; port 0 picks a free one, which the CLI finds by itself."""

    password: str = ""
    """Password that readers must give (any user name); empty asks for none."""

    memory_bytes: int = 0
    """Bytes of memory that one read may hold; 0 stands for two thirds of `engine.memory_bytes`,
    which commits, roll-ups and all reads share."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that `tollway serve` can be told."""

    store: str = DEFAULT_STORE
    """Where spans are kept: chdb:PATH (embedded) or clickhouse://USER:PASSWORD@HOST:PORT/DATABASE."""

    retention_days: int = 400
    """Days a span is kept; spans that start earlier are refused."""

    log_format: LogFormat = "text"
    """How the log on stderr is written: text, or json for one object a line."""

    rollup_interval_s: float = 1.0
    """Least seconds between two roll-ups of traces, route statistics and signals; they come less
    often under load, so that rows are at most ten seconds behind."""

    receive: ReceiveConfig = ReceiveConfig()
    """The OTLP receivers."""

    batch: BatchConfig = BatchConfig()
    """Group commit."""

    dead_letters: DeadLetterConfig = DeadLetterConfig()
    """What is kept of requests that could not be stored."""

    engine: EngineConfig = EngineConfig()
    """The engine in this process."""

    server: ServerConfig = ServerConfig()
    """The ClickHouse server, where the store is one."""

    sql: SqlConfig = SqlConfig()
    """The SQL door."""

    prices: PricesConfig = PricesConfig()
    """Your own prices, and what your models are in the price book."""

    signals: SignalsConfig = SignalsConfig()
    """Comparisons of variants."""

    alerts: AlertsConfig = AlertsConfig()
    """Who is told when a comparison changes."""

    def __post_init__(self) -> None:
        if not 0 <= self.sql.memory_bytes <= self.engine.memory_bytes:
            raise ValueError(
                f"sql.memory_bytes is {self.sql.memory_bytes}, but all statements together have "
                f"engine.memory_bytes ({self.engine.memory_bytes}): lower the one, raise the other"
            )

    @property
    def read_memory_bytes(self) -> int:
        """Bytes of memory that one read through the SQL door may hold."""
        return self.sql.memory_bytes or self.engine.memory_bytes * 2 // 3


# Environment variables, and the keys that they set.
ENVIRONMENT = {
    "TOLLWAY_STORE": ("store",),
    "TOLLWAY_HTTP": ("receive", "http"),
    "TOLLWAY_GRPC": ("receive", "grpc"),
    "TOLLWAY_SQL": ("sql", "listen"),
    "TOLLWAY_SQL_PASSWORD": ("sql", "password"),
}


def load(
    path: Path | None, environment: Mapping[str, str], flags: Mapping[tuple[str, ...], str | None]
) -> Config:
    """Return the configuration; flags map a key's path to its text, None where not given.

    Raises UsageError naming the file, the key and what is wrong.
    """
    tree: dict[str, Any] = {} if path is None else _read(path)
    if "prices" in tree:
        tree["prices"] = normalised(tree["prices"])
    for name, key in ENVIRONMENT.items():
        if name in environment:
            _put(tree, key, environment[name])
    for key, text in flags.items():
        if text is not None:
            _put(tree, key, text)
    try:
        return msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path or 'configuration'}: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error


def _put(tree: dict[str, Any], key: tuple[str, ...], text: str) -> None:
    for part in key[:-1]:
        branch = tree.setdefault(part, {})
        if not isinstance(branch, dict):
            raise UsageError(f"configuration: {part} must be a table")
        tree = branch
    tree[key[-1]] = text
