"""Bodies unpacked while they arrive, never past a limit; http.py brings the pieces."""

from __future__ import annotations

import sys
import zlib
from typing import Protocol

from tollway_processor.errors import PermanentError, TooLargeError
from tollway_processor.receive.limits import Limits

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_STEP_BYTES = 1 << 18  # one call of a decompressor yields at most this much
_ZSTD_WINDOW_LOG = 23  # 8 MiB: what RFC 9659 allows a sender, and all that a frame may claim
_MEMBERS = 64  # each costs a new decompressor and a copy of the rest, whatever it holds
_GZIP_WINDOW, _ZLIB_WINDOW, _RAW_WINDOW = 31, 15, -15  # zlib's wbits


class UnsupportedEncodingError(PermanentError):
    """A Content-Encoding that no decoder here undoes (415)."""


class _Inflater(Protocol):
    """What zlib's and zstd's decompressors share."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class BodyDecoder:
    """Collects one body: feed() its pieces as they come, then finish() for the decoded bytes."""

    def __init__(self, encoding: str, limits: Limits) -> None:
        """Take a Content-Encoding; raises UnsupportedEncodingError for an unknown one."""
        self._encoding = encoding.strip().lower() or "identity"
        if self._encoding == "x-gzip":
            self._encoding = "gzip"
        if self._encoding not in ("identity", "gzip", "deflate", "zstd"):
            raise UnsupportedEncodingError(
                f"Content-Encoding {self._encoding!r} is not one of gzip, deflate, zstd, identity"
            )
        self._limits = limits
        self._pieces: list[bytes] = []
        self._inflater: _Inflater | None = None
        self._members = 0
        self.encoded_bytes = 0
        self.decoded_bytes = 0

    def feed(self, piece: bytes) -> None:
        """Decode one piece; raises TooLargeError at a limit, PermanentError on broken data."""
        self.encoded_bytes += len(piece)
        if self.encoded_bytes > self._limits.encoded_bytes:
            raise TooLargeError(
                f"the body is over {self._limits.encoded_bytes} bytes; send smaller batches"
            )
        if self._encoding == "identity":
            self._keep(piece)
            return
        try:
            self._inflate(piece)
        except (zlib.error, zstd.ZstdError, EOFError) as error:
            raise PermanentError(f"the body is not valid {self._encoding}: {error}") from error

    def finish(self) -> bytes:
        """Return the decoded body; raises PermanentError when compressed data is cut short."""
        if self._inflater is not None and not self._inflater.eof:
            raise PermanentError(
                f"the body ends in the middle of its {self._encoding} data, "
                f"after {self.encoded_bytes} bytes"
            )
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _inflate(self, piece: bytes) -> None:
        while piece:
            if self._inflater is None or self._inflater.eof:
                if self._inflater and self._encoding == "gzip" and not piece.strip(b"\0"):
                    return  # padding, as gzip itself takes it
                self._inflater = self._start(piece)
            inflater = self._inflater
            output = inflater.decompress(piece, _STEP_BYTES)
            self._keep(output)
            piece = self._rest(inflater, output)

    def _rest(self, inflater: _Inflater, output: bytes) -> bytes:
        """Drain what the decompressor holds back of its input; return what is behind its end."""
        while not inflater.eof:
            held = getattr(inflater, "unconsumed_tail", b"")  # zlib hands it back, zstd keeps it
            if not held and len(output) < _STEP_BYTES:
                return b""
            output = inflater.decompress(held, _STEP_BYTES)
            self._keep(output)
        return inflater.unused_data

    def _start(self, piece: bytes) -> _Inflater:
        """Begin a gzip member, a zlib stream or a zstd frame; bodies may hold several."""
        self._members += 1
        if self._members > _MEMBERS:
            raise PermanentError(
                f"the body holds over {_MEMBERS} {self._encoding} members, or bytes behind its end"
            )
        if self._encoding == "zstd":
            window = int(zstd.DecompressionParameter.window_log_max)
            return zstd.ZstdDecompressor(options={window: _ZSTD_WINDOW_LOG})
        if self._encoding == "gzip":
            return zlib.decompressobj(_GZIP_WINDOW)
        # HTTP means zlib by "deflate" (RFC 9110, 8.4.1.2); some senders mean the raw stream.
        is_zlib = piece[0] & 0x0F == 8 and (len(piece) < 2 or (piece[0] << 8 | piece[1]) % 31 == 0)
        return zlib.decompressobj(_ZLIB_WINDOW if is_zlib else _RAW_WINDOW)

    def _keep(self, output: bytes) -> None:
        self.decoded_bytes += len(output)
        if self.decoded_bytes > self._limits.decoded_bytes:
            raise TooLargeError(
                f"the body unpacks to over {self._limits.decoded_bytes} bytes; send smaller batches"
            )
        if output:
            self._pieces.append(output)
