"""What the engine in this process may take and how safely it writes, as configuration."""

from __future__ import annotations

import msgspec

MIB = 1 << 20
LEAST_MEMORY_BYTES = 128 * MIB


class EngineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ClickHouse engine in this process (chDB)."""

    fsync: bool = True
    """Whether a commit to the embedded store is on the disk before it is answered; without it a
    power loss (not a crash of the process) can cost the last half minute."""

    memory_bytes: int = 768 * MIB
    """Bytes the engine may take for statements, merges and caches; a statement that needs more is
    refused with a retry. Beside it the process takes some 400 MiB, and what is in flight."""

    def __post_init__(self) -> None:
        if self.memory_bytes < LEAST_MEMORY_BYTES:
            raise ValueError(f"memory_bytes must be {LEAST_MEMORY_BYTES} (128 MiB) at least")


class ServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ClickHouse server that keeps the spans, where `store` names one."""

    timeout_s: float = 30.0
    """Seconds the server may take to answer a statement; beyond, its senders are told to retry."""

    def __post_init__(self) -> None:
        if self.timeout_s <= 0:
            raise ValueError("timeout_s must be above 0")
