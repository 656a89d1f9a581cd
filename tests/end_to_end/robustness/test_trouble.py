"""A disk that is full or read-only, memory that ran out, a damaged part: said, retried, over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import shutil
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tollway_processor.errors import StoreError


@pytest.fixture
def disk(tmp_path):
    """A disk of 64 MiB for the store: a tmpfs, mounted by whoever runs the tests (root in CI)."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], check=True)
    yield folder
    unmount(folder)


async def send(senders, addresses, number):
    """Send `number` requests one after the other by both protocols."""
    for _ in range(number):
        before = senders.answers
        async with senders.on(addresses, http=1, calls=1):
            await senders.has(lambda seen=before: senders.answers > seen)


async def refused_then_stored(processor, senders, *, mend, words, until):
    """Check that senders are told to retry, /readyz says why, and all is well after `mend`."""
    await send(senders, processor.addresses, 1)
    assert senders.refused["HTTP 503"] >= 1, (senders, processor.said())
    assert senders.refused["UNAVAILABLE"] >= 1, senders
    assert processor.get("/healthz")[0] == 200
    status, said = processor.get("/readyz")
    assert status == 503
    assert words in said
    before = len(senders.acknowledged)
    mend()
    while len(senders.acknowledged) == before:
        await send(senders, processor.addresses, 1)
    await asyncio.to_thread(until, lambda: processor.get("/readyz")[0] == 200, "ready again")
    assert senders.wrong == []
    stored = await asyncio.to_thread(processor.stored)
    assert {trace: stored.get(trace) for trace in senders.acknowledged} == senders.acknowledged


def fill(disk):
    """Take all the room that is left; return the file that holds it."""
    ballast = disk / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        room = os.statvfs(disk)
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize)
    return ballast


@pytest.mark.slow  # mounts a disk of its own, as root
async def test_full_disk_is_refused_until_there_is_room(serve, load, disk, until):
    processor = await asyncio.to_thread(serve, disk / "store")
    senders = load(spans=20)
    await send(senders, processor.addresses, 1)
    assert senders.acknowledged
    ballast = fill(disk)
    await refused_then_stored(processor, senders, mend=ballast.unlink, words="space", until=until)


@pytest.mark.slow  # mounts a disk of its own, as root
async def test_read_only_folder_is_refused_until_it_is_writable(serve, load, tmp_path, until):
    processor = await asyncio.to_thread(serve)
    senders = load(spans=20)
    await send(senders, processor.addresses, 1)
    data = tmp_path / "store" / "data"
    with read_only(data) as mend:
        await refused_then_stored(processor, senders, mend=mend, words="Read-only", until=until)


@contextlib.contextmanager
def read_only(folder):
    """Lay a read-only view of the folder over itself: also root cannot write through it.

    Gives what takes it away.
    """
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield lambda: unmount(folder)
    finally:
        if os.path.ismount(folder):
            unmount(folder)


def unmount(folder):
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.slow
async def test_memory_limit_is_refused_and_smaller_requests_go_on(serve, load):
    processor = await asyncio.to_thread(serve, None, "[engine]\nmemory_bytes = 134217728\n")
    big = load(spans=3400, content_bytes=4000)
    small = load(spans=20, seed=2)
    await send(big, processor.addresses, 1)
    assert sum(big.refused.values()) >= 1, big
    assert big.wrong == []
    assert processor.get("/healthz")[0] == 200
    while not small.acknowledged:
        await send(small, processor.addresses, 1)
    assert processor.get("/readyz") == (200, "ready\n")
    stored = await asyncio.to_thread(processor.stored)
    assert {t: stored.get(t) for t in small.acknowledged} == small.acknowledged


@pytest.mark.slow
async def test_store_with_a_damaged_part_opens_and_takes_spans(serve, load, tmp_path):
    processor = await asyncio.to_thread(serve)
    senders = load(spans=20)
    for _ in range(2):
        await send(senders, processor.addresses, 1)
    assert processor.stop() == 0
    parts = parts_of_spans(tmp_path)
    for part in parts:
        (part / "columns.txt").write_bytes(b"\xff" * 64)
    again = await asyncio.to_thread(serve)
    assert again.get("/healthz")[0] == 200
    status, said = again.get("/readyz")
    assert status == 200
    assert "damaged parts were set aside" in said
    assert "spans broken-on-start_" in said
    assert said.removeprefix("ready; ").strip() in again.said()
    after = load(spans=20, seed=3)
    await send(after, again.addresses, 1)
    stored = await asyncio.to_thread(again.stored)
    assert {t: stored.get(t) for t in after.acknowledged} == after.acknowledged


def garble(file):
    """Change one byte in the middle."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


def cut(file):
    """Leave half of the file."""
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "is_running"), [(garble, False), (cut, True), (Path.unlink, True)]
)
async def test_damage_found_on_reading_is_set_aside_and_the_roll_up_goes_on(
    serve, load, tmp_path, until, damage, is_running
):
    processor = await asyncio.to_thread(serve)
    senders = load(spans=20)
    await send(senders, processor.addresses, 1)
    if not is_running:
        assert processor.stop() == 0
    # All of them: those that a merge has replaced are not read any more.
    for file in (f for part in parts_of_spans(tmp_path) for f in part.glob("*.bin")):
        with contextlib.suppress(FileNotFoundError):  # the engine has just deleted one of those
            damage(file)
    again = processor if is_running else await asyncio.to_thread(serve)
    after = load(spans=20, seed=3)
    await send(after, again.addresses, 1)
    with contextlib.suppress(StoreError):  # a read that stumbles over it
        await asyncio.to_thread(again.rows, "SELECT * FROM spans")
    told = await asyncio.to_thread(
        until, lambda: "set aside" in (said := again.get("/readyz")[1]) and said, "the damage told"
    )
    name = re.findall(r"spans (\w+) is damaged and set aside", again.said())[0]
    (folder,) = re.findall(rf"spans {name} \((\S+)\)", told)
    stored = await asyncio.to_thread(again.stored)
    assert {t: stored.get(t) for t in after.acknowledged} == after.acknowledged
    sql = "SELECT trace_id, spans FROM traces"
    await asyncio.to_thread(
        until,
        lambda: (
            after.acknowledged.items()
            <= {r["trace_id"]: r["spans"] for r in again.rows(sql)}.items()
        ),
        "the roll-up going on",
    )
    if damage is garble:
        for part in Path(folder).parent.iterdir():
            shutil.rmtree(part)
        await asyncio.to_thread(
            until, lambda: again.get("/readyz") == (200, "ready\n"), "nothing more to tell"
        )


@pytest.mark.slow
def test_more_connections_than_the_usual_limit_of_files_keep_nobody_out(serve):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # This process may have many files open itself, and has to start the other one.
    low = len(os.listdir("/proc/self/fd")) + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
    try:
        processor = serve()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    where = urlsplit(processor.http)
    with contextlib.ExitStack() as stack:
        for _ in range(low + 50):
            stack.enter_context(socket.create_connection((where.hostname, where.port)))
        assert processor.post(b"{}", Content_Type="application/json") == (200, "{}")
        assert processor.get("/readyz")[0] == 200


def parts_of_spans(folder):
    return [
        file.parent
        for file in (folder / "store" / "data").rglob("columns.txt")
        if "`duration_ns`" in file.read_text() and "`price_id`" in file.read_text()
    ]
