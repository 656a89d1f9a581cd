"""The configuration explains itself: each key has a sentence below it."""

from __future__ import annotations

import ast
import inspect
import textwrap

import msgspec
import pytest

from tollway_processor.config import Config, load
from tollway_processor.errors import UsageError
from tollway_processor.receive.limits import Limits, TokenConfig


def structs(kind):
    yield kind
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from structs(field.type)


@pytest.mark.parametrize("kind", [*structs(Config), TokenConfig], ids=lambda kind: kind.__name__)
def test_each_key_has_a_sentence(kind):
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    told = {
        name.target.id: sentence.value.value
        for name, sentence in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(name, ast.AnnAssign) and isinstance(sentence, ast.Expr)
    }
    assert list(told) == [field.name for field in msgspec.structs.fields(kind)]
    assert all(" " in sentence and sentence.endswith(".") for sentence in told.values())


@pytest.mark.parametrize(
    "name", ["attribute_bytes", "content_bytes", "attribute_count", "event_count"]
)
def test_attribute_limits_fit_the_engine(name):
    for wrong in (0, -1, 1 << 32):
        with pytest.raises(ValueError, match=name):
            Limits(**{name: wrong})


def test_a_read_has_its_share_of_the_engines_memory_and_never_more(tmp_path):
    assert Config().read_memory_bytes == Config().engine.memory_bytes * 2 // 3
    toml = tmp_path / "tollway.toml"
    toml.write_text("[sql]\nmemory_bytes = 1073741824\n")
    with pytest.raises(UsageError, match=r"sql\.memory_bytes .* engine\.memory_bytes"):
        load(toml, {}, {})
