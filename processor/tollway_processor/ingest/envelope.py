"""A batch of OTLP requests as one file for the engine: length-delimited, each in its envelope."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tollway_processor.store.client import Delivery

# Fields 1000 (project, string) and 1001 (request_index, uint32) of schemas/otlp.proto.
_PROJECT_TAG = b"\xc2\x3e"
_INDEX_TAG = b"\xc8\x3e"


def varint(number: int) -> bytes:
    """Return a non-negative integer in protobuf's base-128 form."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def delimited(batch: Sequence[Delivery]) -> list[bytes]:
    """Return the batch's bytes in pieces: for each delivery its length, body and envelope.

    Protobuf messages merge when their bytes are concatenated, so the body is never touched.
    """
    pieces = []
    for index, delivery in enumerate(batch):
        project = delivery.project.encode()
        envelope = _INDEX_TAG + varint(index)
        if project:
            envelope += _PROJECT_TAG + varint(len(project)) + project
        pieces += [varint(len(delivery.body) + len(envelope)), delivery.body, envelope]
    return pieces


@contextmanager
def as_file(pieces: Sequence[bytes]) -> Iterator[str]:
    """Lend a path from which the engine reads the pieces: a memory file, else a temporary one."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("otlp", os.MFD_CLOEXEC)
        path = f"/proc/self/fd/{descriptor}"
    else:
        descriptor, path = tempfile.mkstemp(suffix=".otlp")
    try:
        with os.fdopen(descriptor, "wb", buffering=0, closefd=False) as file:
            for piece in pieces:
                _write_all(file.fileno(), piece)
        yield path
    finally:
        os.close(descriptor)
        if not path.startswith("/proc/"):
            os.unlink(path)


def _write_all(descriptor: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]
