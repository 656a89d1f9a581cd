"""The embedded store: one holder, migrations once, honest errors."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import pytest

from tollway_processor import schema_files
from tollway_processor.errors import RetryableError, StoreError, StoreHeldError, UsageError
from tollway_processor.store import lock
from tollway_processor.store.embedded import EmbeddedStore
from tollway_processor.store.migrations import STAGES, migrate


def test_migrations_are_applied_once_and_kept_by_digest(store):
    ledger = store.rows("SELECT name, sha256 FROM migrations ORDER BY applied_at")
    files = {
        name: hashlib.sha256((schema_files.SCHEMAS / "tables" / name).read_bytes()).hexdigest()
        for name in schema_files.names("tables")
    }
    stages = hashlib.sha256((schema_files.SCHEMAS / STAGES).read_bytes()).hexdigest()
    assert {row["name"]: row["sha256"] for row in ledger} == files | {STAGES: stages}
    assert migrate(store) == []


def test_entrance_is_made_anew_when_its_file_changes(store):
    store.command("DROP VIEW span_stage_to_messages")
    store.command(
        "ALTER TABLE migrations DELETE WHERE name = {name:String} SETTINGS mutations_sync = 2",
        {"name": STAGES},
    )
    assert migrate(store) == []
    views = store.rows("SELECT name FROM system.tables WHERE name = 'span_stage_to_messages'")
    assert len(views) == 1


def test_changed_migration_is_refused(store, monkeypatch):
    monkeypatch.setattr("tollway_processor.store.migrations.digest", lambda name: "other")
    with pytest.raises(StoreError, match=r"0001_spans\.sql differs"):
        migrate(store)


def test_store_of_a_newer_version_is_refused(store, monkeypatch):
    known = schema_files.names("tables")
    monkeypatch.setattr(schema_files, "names", lambda folder: known[:-1])
    with pytest.raises(StoreError, match="newer Tollway"):
        migrate(store)


def test_every_column_of_the_tables_has_a_comment(store):
    rows = store.rows(
        "SELECT table, name FROM system.columns WHERE database = 'default' AND comment = '' "
        "AND table IN (SELECT name FROM system.tables WHERE database = 'default' AND engine LIKE '%MergeTree') "
        "AND table NOT LIKE '.inner%'"
    )
    assert rows == []


def test_parameters_survive_the_way_to_the_engine(store):
    values = ["it's", "back\\slash", "tab\tline\n", "", "ünï", "\\N", "NULL"]
    (row,) = store.rows(
        "SELECT {v:Array(String)} AS v, {s:String} AS s", {"v": values, "s": "\\N'\n"}
    )
    assert (row["v"], row["s"]) == (values, "\\N'\n")


def test_error_carries_the_engines_code(store):
    with pytest.raises(StoreError) as caught:
        store.rows("SELECT * FROM nowhere")
    assert caught.value.code == 60


def test_limit_that_can_pass_is_retryable(store):
    with pytest.raises(RetryableError, match="MEMORY"):
        store.query(
            "SELECT groupArray(number) FROM numbers(10000000)",
            settings={"max_memory_usage": "1000000"},
        )


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO spans (trace_id) VALUES ('x')",
        "DROP TABLE spans",
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SET readonly = 0",
    ],
)
def test_readonly_session_cannot_write_or_reach_out(store, sql):
    with pytest.raises(StoreError):
        store.query(sql, readonly=True)


def test_second_store_of_one_process_says_so(store, tmp_path):
    with pytest.raises(StoreError, match="another store open"):
        EmbeddedStore(tmp_path / "second")


def test_folder_held_by_a_process_names_it(store):
    with pytest.raises(StoreHeldError, match=f"pid {os.getpid()}"):
        EmbeddedStore(store.folder)
    assert lock.holder(store.folder)["pid"] == str(os.getpid())


def test_addresses_are_published_to_other_processes(store):
    store.lock.publish({"sql": "http://127.0.0.1:1"})
    code = (
        "import sys, json; from pathlib import Path; from tollway_processor.store import lock; "
        "print(json.dumps(lock.holder(Path(sys.argv[1]))))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(store.folder)], capture_output=True, text=True, check=True
    )
    assert json.loads(told.stdout)["sql"] == "http://127.0.0.1:1"


def test_folder_nobody_holds_has_no_holder(tmp_path):
    assert lock.holder(tmp_path) is None
    (tmp_path / lock.LOCK_NAME).write_text('{"pid": 1}')
    assert lock.holder(tmp_path) is None


def test_folder_that_cannot_be_made_is_wrong_use(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write the store's folder"):
        lock.StoreLock(tmp_path / "file" / "store").acquire()
