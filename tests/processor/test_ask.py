"""`tollway ask` and `tollway rebuild` from the command line, on a store of their own."""

from __future__ import annotations

import json

import pytest

from tollway_processor.cli import main
from tollway_processor.store.embedded import EmbeddedStore


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store with one trace that nothing was computed of yet; closed, as the commands open it."""
    from .conftest import Otlp

    path = tmp_path_factory.mktemp("asked") / "store"
    store = EmbeddedStore(path)
    otlp = Otlp(store)
    otlp.send(otlp.call(tollway__route="asked", session__id="s"))
    store.close()
    return path


def test_without_a_name_the_questions_are_listed(capsys):
    assert main(["ask"]) == 0
    told = capsys.readouterr().out
    assert "cost_of_session\n    What does a session cost, trace by trace?" in told
    assert "--param since=90d" in told


@pytest.mark.slow
def test_rebuild_computes_what_ask_then_answers(folder, capsys):
    store = f"chdb:{folder}"
    assert main(["rebuild", "--store", store]) == 0
    told = capsys.readouterr()
    assert (told.out, "rebuilt 1 days, 1 routes" in told.err) == ("", True)
    asked = ["ask", "cost_by_route", "--store", store, "--param", "route=asked"]
    assert main([*asked, "--param", "since=1d", "--format", "JSONEachRow"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["route"], row["traces"], row["cost_usd"]) == ("asked", 1, "0.00035")
    assert main([*asked, "--param", "since=all"]) == 0
    assert capsys.readouterr().out.startswith("asked\tgpt-4o-2024-08-06\t1\t1\t0.00035")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ask", "cost_by_router"], "there is no question cost_by_router; did you mean"),
        (["ask", "cost_by_route", "--param", "since"], "--param since: give NAME=VALUE"),
        (["ask", "cost_by_route", "--param", "since=7 days"], "parameter since: '7 days' is no"),
        (["ask", "cost_of_session"], "cost_of_session needs --param session"),
        (["rebuild", "--from", "soon"], "--from soon: give a day as YYYY-MM-DD"),
        (["rebuild", "--from", "2026-02-02", "--to", "2026-02-01"], "is after --to 2026-02-01"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(folder, capsys, arguments, told):
    assert main([*arguments, "--store", f"chdb:{folder}"]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) == 1
