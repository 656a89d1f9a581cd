"""The arguments of `tollway prices` and `tollway reprice`; only the standard library, as cli.py."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tollway_processor.config import Config

Add = Callable[..., Any]  # cli.py's way to add a command or the flags that name the store


def add_price_commands(commands: Any, command: Add, add_store: Add) -> None:
    """Add both commands to the command line."""
    _add_prices(commands, command, add_store)
    reprice = command(
        commands,
        "reprice",
        "Recompute the cost of stored calls with the current prices; traces follow.",
        "tollway reprice --store chdb:./data --from 2026-06-01 --model gpt-4o",
        _reprice,
    )
    add_store(reprice)
    reprice.add_argument("--from", dest="first", metavar="DAY", help="first day, UTC (default all)")
    reprice.add_argument("--to", dest="last", metavar="DAY", help="last day, UTC (default today)")
    reprice.add_argument("--model", default="", help="one model, as told or as in the price book")
    reprice.add_argument("--format", choices=("table", "json"), default="table")


def _add_prices(commands: Any, command: Add, add_store: Add) -> None:
    prices = command(
        commands,
        "prices",
        "Show the prices, explain one, list what has none, bring the price book up to date.",
        "tollway prices explain gpt-4o-2024-08-06 --provider azure --at 2026-06-01",
        None,
    )
    actions = prices.add_subparsers(dest="action", required=True, metavar="ACTION")
    explain = command(
        actions,
        "explain",
        "Show how a model finds its price, step by step.",
        "tollway prices explain publishers/google/models/gemini-2.5-pro --at 2026-06-01",
        _explain,
    )
    explain.add_argument("model", metavar="MODEL", help="model as the call tells it")
    explain.add_argument("--provider", default="", help="provider as the call tells it")
    explain.add_argument("--at", metavar="DATE", help="day or time, UTC (default now)")
    explain.add_argument("--tier", default="default", help="batch, flex, priority, …")
    explain.add_argument("--input-tokens", type=int, default=1000, help="length (default 1000)")
    missing = command(
        actions,
        "missing",
        "List the models without a price, with their calls and tokens.",
        "tollway prices missing --store chdb:./data --since 7d",
        _missing,
    )
    missing.add_argument("--since", metavar="SPAN", help="for instance 24h or 7d (default all)")
    listing = command(
        actions,
        "list",
        "List the price rows that hold.",
        "tollway prices list --origin user",
        _list,
    )
    listing.add_argument("--provider", default="", help="part of the provider's name")
    listing.add_argument("--model", default="", help="part of the model's name")
    listing.add_argument("--origin", choices=("", "user", "book"), default="")
    listing.add_argument("--at", metavar="DATE", help="day, UTC (default today)")
    update = command(
        actions,
        "update",
        "Write the installed price book and the configuration's rows into the table.",
        "tollway prices update --store chdb:./data --config tollway.toml",
        _update,
    )
    for parser in (explain, missing, listing, update):
        add_store(parser)
    for parser in (explain, missing, listing):
        parser.add_argument("--format", choices=("table", "json"), default="table")


def _config(given: argparse.Namespace) -> Config:
    from tollway_processor.config import load

    return load(given.config, os.environ, {("store",): given.store})


def _reprice(given: argparse.Namespace) -> int:
    from tollway_processor.commands.reprice import run_reprice

    return run_reprice(_config(given), given.first, given.last, given.model, given.format)


def _explain(given: argparse.Namespace) -> int:
    from tollway_processor.commands.prices import Question, run_explain

    question = Question(given.provider, given.model, given.at, given.tier, given.input_tokens)
    return run_explain(_config(given), question, given.format)


def _missing(given: argparse.Namespace) -> int:
    from tollway_processor.commands.prices import run_missing

    return run_missing(_config(given), given.since, given.format)


def _list(given: argparse.Namespace) -> int:
    from tollway_processor.commands.prices import run_list

    filters = {"provider": given.provider, "model": given.model, "origin": given.origin}
    return run_list(_config(given), filters, given.at, given.format)


def _update(given: argparse.Namespace) -> int:
    from tollway_processor.commands.reprice import run_update

    return run_update(_config(given))
