"""Dead letters survive: bounded, rotated, readable after a crash."""

from __future__ import annotations

import logging

import pytest

from tollway_processor.errors import UsageError
from tollway_processor.ingest.config import DeadLetterConfig
from tollway_processor.ingest.dead_letters import DeadLetter, DeadLetters, letters_of

LETTER = DeadLetter("traces", b"\x0a\x00\n{}\n\xff", "checkout", "cannot decode: näin")


def letter(number: int, size: int = 100) -> DeadLetter:
    return DeadLetter("logs", bytes([number]) * size, "", f"cause {number}")


def test_letters_are_read_back_in_order(tmp_path):
    letters = DeadLetters(tmp_path / "letters")
    assert letters.append(LETTER)
    assert letters.append(letter(1))
    assert list(DeadLetters(tmp_path / "letters").read()) == [LETTER, letter(1)]
    assert [path.stat().st_mode & 0o777 for path in letters.files()] == [0o600]
    assert (tmp_path / "letters").stat().st_mode & 0o777 == 0o700


def test_files_are_rotated_and_the_oldest_dropped(tmp_path, caplog):
    letters = DeadLetters(tmp_path, DeadLetterConfig(file_bytes=600, files=3))
    for number in range(20):
        letters.append(letter(number))
    files = letters.files()
    assert len(files) == 3
    assert all(path.stat().st_size <= 600 for path in files)
    kept = [found.body[0] for found in letters.read()]
    assert kept == list(range(20 - len(kept), 20))
    assert "dropping the oldest" in caplog.text


def test_letter_larger_than_a_file_gets_a_file_of_its_own(tmp_path):
    letters = DeadLetters(tmp_path, DeadLetterConfig(file_bytes=600, files=3))
    for number, size in enumerate((100, 5000, 100)):
        letters.append(letter(number, size))
    assert [len(found.body) for found in letters.read()] == [100, 5000, 100]


def test_file_cut_short_by_a_crash_loses_only_its_last_letter(tmp_path, caplog):
    letters = DeadLetters(tmp_path)
    letters.append(letter(1))
    letters.append(letter(2))
    path = letters.files()[0]
    path.write_bytes(path.read_bytes()[:-30])
    restarted = DeadLetters(tmp_path)
    restarted.append(letter(3))
    assert [found.body[0] for found in restarted.read()] == [1, 3]
    assert "cut short" in caplog.text


def test_letters_set_aside_are_cleared_replaced_or_put_back(tmp_path):
    letters = DeadLetters(tmp_path, DeadLetterConfig(file_bytes=250))
    for number in range(3):
        letters.append(letter(number))  # one a file
    with letters.set_aside() as aside:
        assert len(aside) == 3
        assert not letters.files()
        DeadLetters(tmp_path).append(letter(9))  # a processor that fails meanwhile
        letters.replace(aside[0], [])
        letters.replace(aside[1], [letter(1)._replace(cause="newest")])
    assert [found.body[0] for found in letters.read()] == [1, 2, 9]
    assert [found.cause for found in letters.read()] == ["newest", "cause 2", "cause 9"]
    assert {path.stat().st_mode & 0o777 for path in letters.files()} == {0o600}
    assert letters.held_bytes() == sum(path.stat().st_size for path in letters.files())


def test_interrupted_replay_leaves_its_letters_to_the_next(tmp_path):
    letters = DeadLetters(tmp_path)
    letters.append(letter(1))
    letters.files()[0].rename(tmp_path / "00000001.replaying")
    letters.append(letter(2))
    with letters.set_aside() as aside:
        assert [found.body[0] for path in aside for found in letters_of(path)] == [1, 2]
        with pytest.raises(UsageError, match="another replay"), DeadLetters(tmp_path).set_aside():
            pytest.fail("two replays at once")
    assert [found.body[0] for found in letters.read()] == [1, 2]


def test_folder_that_cannot_be_written_is_logged_and_no_more(tmp_path, caplog):
    (tmp_path / "taken").write_text("a file where the folder should be")
    assert not DeadLetters(tmp_path / "taken").append(letter(1))
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
