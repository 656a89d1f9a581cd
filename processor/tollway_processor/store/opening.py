"""Opens the store that a URL names."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from tollway_processor.errors import UsageError
from tollway_processor.ingest.codec import Window
from tollway_processor.receive.limits import Limits
from tollway_processor.store.client import Store
from tollway_processor.store.config import EngineConfig, ServerConfig

SCHEMES = "chdb:PATH or clickhouse://USER:PASSWORD@HOST:PORT/DATABASE"


def folder_of(url: str) -> Path | None:
    """Return the folder of an embedded store's URL, None for a server's; raises UsageError."""
    scheme, _, rest = url.partition(":")
    if scheme == "chdb" and rest.removeprefix("//"):
        return Path(rest.removeprefix("//"))
    if scheme in ("clickhouse", "clickhouses") and urlsplit(url).hostname:
        return None
    raise UsageError(f"--store {url}: give {SCHEMES}")


def without_password(url: str) -> str:
    """Return a store's URL as it may be shown."""
    return re.sub(r"(//[^:/@]*):[^@]*@", r"\1:***@", url)


def open_store(
    url: str,
    *,
    retention_days: int = 400,
    limits: Limits | None = None,
    engine: EngineConfig | None = None,
    server: ServerConfig | None = None,
    must_exist: bool = False,
) -> Store:
    """Open a store, bringing its tables up to date.

    With `must_exist` an embedded store is not made where there is none. Raises UsageError,
    StoreHeldError, StoreError, RetryableError.
    """
    limits = limits or Limits()
    window = Window(
        retention_days=retention_days,
        attribute_bytes=limits.attribute_bytes,
        content_bytes=limits.content_bytes,
        attribute_count=limits.attribute_count,
        event_count=limits.event_count,
        link_count=limits.link_count,
    )
    folder = folder_of(url)
    if folder is None:
        from tollway_processor.store.server import ServerStore

        return ServerStore(url, window=window, engine=engine, server=server)
    if must_exist and not (folder / "data").is_dir():
        raise UsageError(f"--store {url}: there is no store; `tollway serve` makes one")
    from tollway_processor.store.embedded import EmbeddedStore

    return EmbeddedStore(folder, window=window, engine=engine)
