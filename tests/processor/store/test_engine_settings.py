"""What the engine is told at opening: commits that reach the disk, memory that has an end."""

from __future__ import annotations

import pytest

from tollway_processor.errors import RetryableError
from tollway_processor.store.config import EngineConfig
from tollway_processor.store.durability import TABLES, set_fsync
from tollway_processor.store.embedded import EmbeddedStore

MIB = 1 << 20


def durable_tables(store):
    rows = store.rows(
        "SELECT name FROM system.tables WHERE engine_full LIKE '%fsync_after_insert = 1%'"
    )
    return {row["name"] for row in rows}


def test_commits_reach_the_disk_unless_switched_off(lonely_folder):
    store = EmbeddedStore(lonely_folder)
    assert durable_tables(store) == set(TABLES)
    assert set_fsync(store, True) == []  # nothing to alter at the next opening
    store.close()
    store = EmbeddedStore(lonely_folder, engine=EngineConfig(fsync=False))
    assert durable_tables(store) == set()
    assert set_fsync(store, False) == []
    store.close()


def test_statement_has_half_of_the_memory_and_the_store_goes_on(lonely_folder):
    store = EmbeddedStore(lonely_folder, engine=EngineConfig(memory_bytes=160 * MIB))
    with pytest.raises(RetryableError, match=r"maximum: 80\.00 MiB") as caught:
        store.query("SELECT groupArray(number) FROM numbers(100000000)", format="Null")
    assert len(str(caught.value)) < 400
    assert store.rows("SELECT 1 AS one") == [{"one": 1}]
    store.close()


def test_caches_are_bounded_and_merges_leave_room(lonely_folder):
    store = EmbeddedStore(lonely_folder, engine=EngineConfig(memory_bytes=300 * MIB))
    told = {
        str(row["name"]): int(str(row["value"]))
        for row in store.rows(
            "SELECT name, value FROM system.server_settings WHERE name LIKE '%cache_size' "
            "OR name LIKE 'merges_mutations_memory_usage_soft_limit'"
        )
    }
    store.close()
    assert told["merges_mutations_memory_usage_soft_limit"] == 100 * MIB
    bounded = (
        "mark_cache_size", "index_mark_cache_size", "primary_index_cache_size",
        "uncompressed_cache_size", "query_condition_cache_size", "compiled_expression_cache_size",
    )  # fmt: skip
    assert sum(told[name] for name in bounded) <= 100 * MIB


def test_less_memory_than_the_engine_needs_is_refused():
    with pytest.raises(ValueError, match="128 MiB"):
        EngineConfig(memory_bytes=MIB)
