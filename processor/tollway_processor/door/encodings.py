"""Content encodings of the door's HTTP: gzip, deflate, zstd and lz4, both ways, bounded."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Protocol

import lz4.frame  # type: ignore[import-untyped]  # the package ships no types
import zstandard

from tollway_processor.door.faults import BAD_ARGUMENTS, NOT_IMPLEMENTED, TOO_MANY_BYTES, fault


class Encoder(Protocol):
    """Compresses an answer piece by piece."""

    def piece(self, data: bytes) -> bytes: ...
    def end(self) -> bytes: ...


class _Deflate:
    def __init__(self, window: int) -> None:
        self._stream = zlib.compressobj(3, zlib.DEFLATED, window)

    def piece(self, data: bytes) -> bytes:
        return self._stream.compress(data)

    def end(self) -> bytes:
        return self._stream.flush()


class _Zstd:
    def __init__(self) -> None:
        self._stream = zstandard.ZstdCompressor(level=1).compressobj()

    def piece(self, data: bytes) -> bytes:
        return self._stream.compress(data)

    def end(self) -> bytes:
        return self._stream.flush()


class _Lz4:
    def __init__(self) -> None:
        self._stream = lz4.frame.LZ4FrameCompressor()
        self._opening = self._stream.begin()

    def piece(self, data: bytes) -> bytes:
        opening, self._opening = self._opening, b""
        return bytes(opening + self._stream.compress(data))

    def end(self) -> bytes:
        opening, self._opening = self._opening, b""
        return bytes(opening + self._stream.flush())


def encoder(accept_encoding: str) -> tuple[str, Encoder] | None:
    """Choose an encoding that the client takes, in the order it lists them."""
    for offer in accept_encoding.split(","):
        name = offer.split(";")[0].strip().lower()
        if name == "zstd":
            return name, _Zstd()
        if name == "lz4":
            return name, _Lz4()
        if name == "gzip":
            return name, _Deflate(31)
        if name == "deflate":
            return name, _Deflate(15)
    return None


def decoded(body: bytes, encoding: str, *, most_bytes: int) -> bytes:
    """Undo a request body's Content-Encoding.

    Raises StoreError: 36 broken, 48 an encoding that is not offered, 307 more than `most_bytes`.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name not in _READERS:
        raise fault(NOT_IMPLEMENTED, f"Unknown Content-Encoding '{name}': send {_OFFERED}")
    plain = bytearray()
    try:
        for piece in _READERS[name](body):
            plain += piece
            if len(plain) > most_bytes:
                raise fault(TOO_MANY_BYTES, f"The request is larger than {most_bytes} bytes")
    except (zstandard.ZstdError, zlib.error, RuntimeError, EOFError, OSError) as error:
        raise fault(BAD_ARGUMENTS, f"The body is not {name}: {error}") from error
    return bytes(plain)


def _read_gzip(body: bytes) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=BytesIO(body)) as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _read_lz4(body: bytes) -> Iterator[bytes]:
    with lz4.frame.open(BytesIO(body)) as file:  # a client may send a frame a block
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _read_deflate(body: bytes) -> Iterator[bytes]:
    stream = zlib.decompressobj()
    while not stream.eof:
        piece = stream.decompress(body, _PIECE_BYTES)
        body = stream.unconsumed_tail
        if not piece and not stream.eof:
            raise EOFError("it ends too early")
        yield piece


def _read_zstd(body: bytes) -> Iterator[bytes]:
    """Read frame by frame in small slices: the library bounds no output and misses a cut end."""
    stream = zstandard.ZstdDecompressor().decompressobj()
    for start in range(0, len(body), _SLICE_BYTES):
        rest = body[start : start + _SLICE_BYTES]
        while rest:
            if stream.eof:
                stream = zstandard.ZstdDecompressor().decompressobj()
            yield stream.decompress(rest)
            rest = stream.unused_data
    if not stream.eof:
        raise EOFError("it ends too early")


_PIECE_BYTES = 1024 * 1024
_SLICE_BYTES = 4096
_READERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": _read_gzip,
    "deflate": _read_deflate,
    "zstd": _read_zstd,
    "lz4": _read_lz4,
}
_OFFERED = ", ".join(_READERS)
