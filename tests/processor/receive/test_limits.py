"""The configuration: every key explained, impossible ones refused."""

from __future__ import annotations

import inspect
import re

import msgspec
import pytest

from tollway_processor.ingest.config import BatchConfig, DeadLetterConfig
from tollway_processor.receive.limits import Limits, ReceiveConfig, TlsConfig, TokenConfig

STRUCTS = (Limits, ReceiveConfig, TokenConfig, TlsConfig, BatchConfig, DeadLetterConfig)


@pytest.mark.parametrize("struct", STRUCTS)
def test_every_key_has_a_sentence_below_it(struct):
    source = inspect.getsource(struct)
    for field in msgspec.structs.fields(struct):
        explained = re.search(rf'^    {field.name}: .*\n    """[A-Z][^"]+\."""$', source, re.M)
        assert explained, f"{struct.__name__}.{field.name}"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"limits": {"decoded_bytes": 1 << 40}}, "in_flight_bytes must hold"),
        ({"limits": {"nesting": 31}}, "nesting must be"),
        ({"limits": {"spam": 1}}, "unknown field `spam`"),
        ({"port": 1}, "unknown field `port`"),
    ],
)
def test_impossible_or_unknown_key_is_refused(given, expected):
    with pytest.raises(msgspec.ValidationError, match=expected):
        msgspec.convert(given, ReceiveConfig)
