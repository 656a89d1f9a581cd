"""The command lines of `tollway ask` and `tollway rebuild`; cli.py lends its way to add them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def add_ask(command: Callable[..., Any], run: Callable[[argparse.Namespace], int]) -> Any:
    """Add `tollway ask` and return its parser."""
    parser = command(
        "ask",
        "Answer a documented question; without a name, list them.",
        "tollway ask dearest_traces --store chdb:./data --param since=24h --param limit=5",
        run,
    )
    parser.add_argument("question", nargs="?", metavar="NAME", help="the question (default: list)")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the question; several may be given",
    )
    parser.add_argument("--format", metavar="NAME", help="a ClickHouse format: TSV, JSONEachRow, …")
    return parser


def add_rebuild(command: Callable[..., Any], run: Callable[[argparse.Namespace], int]) -> Any:
    """Add `tollway rebuild` and return its parser."""
    parser = command(
        "rebuild",
        "Recompute traces, route statistics and signals from spans and scores.",
        "tollway rebuild --store chdb:./data --from 2026-11-01 --to 2026-11-30",
        run,
    )
    parser.add_argument("--from", dest="first", metavar="DAY", help="first UTC day (default: all)")
    parser.add_argument("--to", dest="last", metavar="DAY", help="last UTC day, included")
    return parser
