"""Opens the store that a URL names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from tollway_processor.errors import UsageError
from tollway_processor.ingest.codec import Window
from tollway_processor.store.client import Store

SCHEMES = "chdb:PATH or clickhouse://USER:PASSWORD@HOST:PORT/DATABASE"


def folder_of(url: str) -> Path | None:
    """Return the folder of an embedded store's URL, None for a server's; raises UsageError."""
    scheme, _, rest = url.partition(":")
    if scheme == "chdb" and rest.removeprefix("//"):
        return Path(rest.removeprefix("//"))
    if scheme in ("clickhouse", "clickhouses") and urlsplit(url).hostname:
        return None
    raise UsageError(f"--store {url}: give {SCHEMES}")


def open_store(url: str, *, retention_days: int = 400, must_exist: bool = False) -> Store:
    """Open a store, bringing its tables up to date.

    With `must_exist` an embedded store is not made where there is none. Raises UsageError,
    StoreHeldError, StoreError, RetryableError.
    """
    window = Window(retention_days=retention_days)
    folder = folder_of(url)
    if folder is None:
        from tollway_processor.store.server import ServerStore

        return ServerStore(url, window=window)
    if must_exist and not (folder / "data").is_dir():
        raise UsageError(f"--store {url}: there is no store; `tollway serve` makes one")
    from tollway_processor.store.embedded import EmbeddedStore

    return EmbeddedStore(folder, window=window)
