"""Bearer tokens: where they come from and what they open."""

from __future__ import annotations

import pytest

from tollway_processor.errors import UsageError
from tollway_processor.receive.auth import FileTokens, Tokens, UnauthenticatedError, load_tokens
from tollway_processor.receive.limits import TokenConfig


def test_tokens_come_from_the_config_a_file_and_the_environment(tmp_path):
    file = tmp_path / "token"
    file.write_text("from-file\n")
    tokens = load_tokens(
        [
            TokenConfig("a", token="from-config"),
            TokenConfig("b", token_file=str(file)),
            TokenConfig("c", token_env="INGEST_TOKEN"),
        ],
        {"INGEST_TOKEN": "from-environment"},
    )
    given = ("from-config", "from-file", "from-environment")
    assert [tokens.project(f"Bearer {token}") for token in given] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (TokenConfig("a"), "give one of"),
        (TokenConfig("a", token="x", token_env="Y"), "give one of"),
        (TokenConfig("a", token_env="MISSING"), "empty"),
        (TokenConfig("a", token="two words"), "white space"),
        (TokenConfig("a", token_file="/nowhere/token"), "token_file: /nowhere/token"),
    ],
)
def test_unusable_token_names_its_key(config, expected):
    with pytest.raises(UsageError, match=rf"^receive\.tokens\[0\].*{expected}"):
        load_tokens([config], {})


def test_one_token_cannot_serve_two_projects():
    configs = [TokenConfig("a", token="same"), TokenConfig("b", token="same")]
    with pytest.raises(UsageError, match=r"tokens\[1\]: .*'a' already"):
        load_tokens(configs, {})


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "s3cret", "Basic s3cret", "Bearer s3cretx", "é"]
)
def test_request_without_a_known_token_is_refused(header):
    with pytest.raises(UnauthenticatedError):
        Tokens({"s3cret": "a"}).project(header)


def test_scheme_is_read_in_any_case_and_no_tokens_let_everybody_in():
    assert Tokens({"s3cret": "a"}).project("BEARER s3cret") == "a"
    assert Tokens({}).project(None) == ""


def test_token_follows_its_file_and_stays_while_that_cannot_be_read(tmp_path, caplog):
    file, now_s = tmp_path / "token", [0.0]
    file.write_text("first\n")
    tokens = FileTokens([TokenConfig("a", token_file=str(file))], {}, lambda: now_s[0])
    assert tokens.project("Bearer first") == "a"
    for spoil in (lambda: file.write_text("two words"), lambda: file.write_text(""), file.unlink):
        spoil()
        now_s[0] += 60
        assert tokens.project("Bearer first") == "a"
    assert "the tokens stay as they are" in caplog.text
    file.write_text("third\n")
    now_s[0] += 60
    assert tokens.project("Bearer third") == "a"
    with pytest.raises(UnauthenticatedError):
        tokens.project("Bearer first")
