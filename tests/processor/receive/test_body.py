"""Bodies unpacked piece by piece, whatever the pieces."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tollway_processor.errors import PermanentError, TooLargeError
from tollway_processor.receive.body import BodyDecoder, UnsupportedEncodingError, zstd
from tollway_processor.receive.limits import Limits

# A busy machine is no fault of the code.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ENCODE = {"identity": bytes, "gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}
LIMITS = Limits(encoded_bytes=1 << 20, decoded_bytes=1 << 20)


def decode(encoding: str, body: bytes, piece_bytes: int = 1 << 16) -> bytes:
    decoder = BodyDecoder(encoding, LIMITS)
    for start in range(0, len(body), piece_bytes):
        decoder.feed(body[start : start + piece_bytes])
    return decoder.finish()


@PATIENT
@given(
    body=st.one_of(st.binary(max_size=2000), st.binary(max_size=20).map(lambda b: b * 20_000)),
    encoding=st.sampled_from(sorted(ENCODE)),
    piece_bytes=st.integers(1, 3000),
)
def test_decoding_undoes_the_encoding_in_pieces_of_any_size(body, encoding, piece_bytes):
    assert decode(encoding, ENCODE[encoding](body), piece_bytes) == body


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_concatenated_members_are_one_body(encoding):
    encode = ENCODE[encoding]
    assert decode(encoding, encode(b"one, ") + encode(b"two"), 5) == b"one, two"


@PATIENT
@given(
    body=st.binary(min_size=1, max_size=300),
    encoding=st.sampled_from(["gzip", "deflate", "zstd"]),
    data=st.data(),
)
def test_data_cut_short_is_refused(body, encoding, data):
    encoded = ENCODE[encoding](body)
    cut = data.draw(st.integers(1, len(encoded) - 1))
    with pytest.raises(PermanentError):
        decode(encoding, encoded[:cut])


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_bytes_behind_the_end_are_refused(encoding):
    with pytest.raises(PermanentError, match=r"not valid|ends in the middle"):
        decode(encoding, ENCODE[encoding](b"body") + b"\xff\xff\xff\xff\xff\xff")


def test_flood_of_empty_members_is_refused():
    with pytest.raises(PermanentError, match="members"):
        decode("gzip", gzip.compress(b"") * 10_000)


def test_zstd_frame_that_wants_a_large_window_is_refused():
    window = int(zstd.CompressionParameter.window_log)
    greedy = zstd.ZstdCompressor(options={window: 27})
    body = greedy.compress(bytes(1000)) + greedy.flush()
    with pytest.raises(PermanentError, match="not valid zstd"):
        decode("zstd", body)


@pytest.mark.parametrize("encoding", sorted(ENCODE))
def test_limit_on_the_decoded_size_is_exact(encoding):
    most = LIMITS.decoded_bytes
    assert len(decode(encoding, ENCODE[encoding](bytes(most)))) == most
    with pytest.raises(TooLargeError):
        decode(encoding, ENCODE[encoding](bytes(most + 1)))


@pytest.mark.parametrize("name", ["", "identity", "Identity", "GZIP", "x-gzip", " gzip "])
def test_names_of_encodings_are_read_leniently(name):
    body = b"body" if "zip" not in name.lower() else gzip.compress(b"body")
    assert decode(name, body) == b"body"


@pytest.mark.parametrize("name", ["br", "gzip, gzip", "compress", "snappy"])
def test_unknown_encoding_is_refused(name):
    with pytest.raises(UnsupportedEncodingError, match="is not one of"):
        BodyDecoder(name, LIMITS)


def test_zeros_behind_gzip_data_are_padding():
    decoder = BodyDecoder("gzip", Limits())
    for piece in (gzip.compress(b"some"), b"\0" * 300, b"\0"):
        decoder.feed(piece)
    assert decoder.finish() == b"some"
