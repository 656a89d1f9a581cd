"""The command line: reads it, runs the command, turns errors into one line and an exit code.

Only the standard library is imported here, so that a command run without its extra can say so.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tollway_processor.commands.derived_arguments import add_ask, add_rebuild
from tollway_processor.commands.price_arguments import add_price_commands
from tollway_processor.errors import MissingExtraError, TollwayError, UsageError

_DESCRIPTION = "What each LLM route costs per trace, and whether a cheaper one is quietly worse."
FAILED, WRONG_USE = 1, 2
GATE_WRONG_USE = 3
if TYPE_CHECKING:
    from tollway_processor.config import Config

# What only an extra brings; an ImportError of one of these names the extra.
_EXTRAS = {
    "processor": {
        "chdb", "clickhouse_connect", "aiohttp", "grpc", "google", "msgspec", "rich",
        "genai_prices", "zstandard", "lz4", "backports",
    },
    "demo": {"openai", "langchain_core", "langchain_openai", "langgraph"},
}  # fmt: skip

Command = Callable[[argparse.Namespace], int]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 wrong use, 1 anything else.

    `tollway gate` has its own codes: 0 PROMOTE, 1 ROLLBACK, 2 HOLD, 3 wrong use or no data.
    """
    if arguments is None:
        # Ctrl-C ends a command also where a shell started it in the background, SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    given = list(sys.argv[1:] if arguments is None else arguments)
    is_gate = given[:1] == ["gate"]
    try:
        namespace = _parser().parse_args(given)
        return int(namespace.run(namespace))
    except UsageError as error:
        return _fail(error, GATE_WRONG_USE if is_gate else WRONG_USE)
    except TollwayError as error:
        return _fail(error, GATE_WRONG_USE if is_gate else FAILED)
    except ModuleNotFoundError as error:
        return _fail(_missing_extra(error), GATE_WRONG_USE if is_gate else FAILED)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing is left to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return 130


def _fail(error: TollwayError, code: int) -> int:
    print(f"tollway: {error}", file=sys.stderr)
    return code


def _missing_extra(error: ModuleNotFoundError) -> TollwayError:
    package = (error.name or "").partition(".")[0]
    for extra, packages in _EXTRAS.items():
        if package in packages:
            return MissingExtraError(
                f"this command needs the {extra} extra ({package} is not installed): "
                f"pip install 'tollway[{extra}]'"
            )
    raise error


def _parser() -> _Parser:
    parser = _Parser(prog="tollway", description=_DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_serving(commands)
    _add_operating(commands)
    _add_reading(commands)
    _add_derived(commands)
    _add_gate(commands)
    add_price_commands(commands, _command, _add_store)
    _add_demo(commands)
    return parser


def _command(
    commands: argparse._SubParsersAction[_Parser],
    name: str,
    purpose: str,
    example: str,
    run: Command | None,
) -> _Parser:
    parser: _Parser = commands.add_parser(
        name,
        help=purpose,
        description=purpose,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _add_store(parser: _Parser) -> None:
    parser.add_argument("--store", metavar="URL", help="chdb:PATH or clickhouse://…")
    parser.add_argument("--config", metavar="FILE", type=Path, help="tollway.toml")


def _add_serving(commands: argparse._SubParsersAction[_Parser]) -> None:
    serve = _command(
        commands,
        "serve",
        "Run the processor: OTLP in, traces, costs, signals and SQL out.",
        "tollway serve --store chdb:./data --http 127.0.0.1:4318 --sql 127.0.0.1:8123",
        _serve,
    )
    _add_store(serve)
    serve.add_argument("--http", metavar="HOST:PORT", help="OTLP/HTTP (default 127.0.0.1:4318)")
    serve.add_argument("--grpc", metavar="HOST:PORT", help="OTLP/gRPC (default 127.0.0.1:4317)")
    serve.add_argument("--sql", metavar="HOST:PORT", help="SQL door (default a free port)")
    serve.add_argument("--log-format", choices=("text", "json"), help="log on stderr as (text)")
    migrate = _command(
        commands,
        "migrate",
        "Bring a store's tables up to date.",
        "tollway migrate --store clickhouse://localhost:8123/tollway",
        _migrate,
    )
    _add_store(migrate)


def _add_operating(commands: argparse._SubParsersAction[_Parser]) -> None:
    replay = _command(
        commands,
        "replay",
        "Send the dead letters again, and delete those that are stored now.",
        "tollway replay --store chdb:./data",
        _replay,
    )
    _add_store(replay)
    replay.add_argument(
        "--url",
        metavar="URL",
        help="OTLP/HTTP receiver to send to (default: the processor that holds the store, else "
        "the store itself)",
    )
    replay.add_argument("--keep", action="store_true", help="delete none of the letters")
    top = _command(
        commands,
        "top",
        "Watch the processor: what comes in, what is refused, how long commits take.",
        "tollway top --url http://127.0.0.1:4318",
        _top,
    )
    _add_store(top)
    top.add_argument(
        "--url",
        metavar="URL",
        help="OTLP/HTTP receiver to watch (default: that of the processor that holds the store, "
        "else http://127.0.0.1:4318)",
    )
    top.add_argument("--once", action="store_true", help="print one reading as text and leave")


def _add_reading(commands: argparse._SubParsersAction[_Parser]) -> None:
    sql = _command(
        commands,
        "sql",
        "Run a SELECT on the tables, beside a running processor too.",
        'tollway sql --store chdb:./data "SELECT * FROM trace_costs LIMIT 5" --format JSONEachRow',
        _sql,
    )
    _add_store(sql)
    sql.add_argument("statement", metavar="SQL", help="one SELECT (or SHOW, DESCRIBE, EXPLAIN)")
    sql.add_argument("--format", metavar="NAME", help="a ClickHouse format: TSV, JSONEachRow, …")
    costs = _command(
        commands,
        "costs",
        "Show what traces cost, by route and variant, and the dearest ones.",
        "tollway costs --store chdb:./data --route refunds --since 7d",
        _costs,
    )
    costs.add_argument("--limit", type=int, default=10, help="dearest traces shown (default 10)")
    routes = _command(
        commands,
        "routes",
        "Show traffic, errors, cost and latency of each route, cohort and variant.",
        "tollway routes --store chdb:./data --since 24h",
        _routes,
    )
    signals = _command(
        commands,
        "signals",
        "Show what got cheaper, what got worse, where, and how sure that is.",
        "tollway signals --store chdb:./data --route refunds",
        _signals,
    )
    signals.add_argument(
        "--all",
        action="store_true",
        help="undecided and held signals, and gains of single cohorts, too",
    )
    signals.add_argument("--watch", action="store_true", help="refresh until Ctrl-C")
    for parser in (costs, routes, signals):
        _add_store(parser)
        parser.add_argument("--route", default="", help="one route (default all)")
        parser.add_argument("--format", choices=("table", "json"), default="table")
    for parser in (costs, routes):
        parser.add_argument("--since", metavar="SPAN", help="for instance 24h or 7d (default all)")


def _add_derived(commands: argparse._SubParsersAction[_Parser]) -> None:
    add = partial(_command, commands)
    _add_store(add_ask(add, _ask))
    _add_store(add_rebuild(add, _rebuild))


def _add_gate(commands: argparse._SubParsersAction[_Parser]) -> None:
    gate = _command(
        commands,
        "gate",
        "Decide on a candidate: exit 0 PROMOTE, 1 ROLLBACK, 2 HOLD, 3 wrong use or no data.",
        "tollway gate --store chdb:./data --route refunds --baseline teacher --candidate student",
        _gate,
    )
    _add_store(gate)
    gate.add_argument("--route", required=True)
    gate.add_argument("--baseline", required=True, metavar="NAME")
    gate.add_argument("--candidate", required=True, metavar="NAME")
    gate.add_argument(
        "--stage",
        choices=("checkpoint", "mirror", "canary"),
        help="a dataset or mirrored traffic answered by both (pairs), or shared traffic; default: "
        "pairs where most traces have a partner",
    )
    gate.add_argument(
        "--by",
        choices=("variant", "model", "release", "prompt", "period"),
        default="variant",
        help="what the two names are; period: before and after --split (observational)",
    )
    gate.add_argument("--split", metavar="TIME", help="UTC, for instance 2026-11-24T09:00")
    gate.add_argument(
        "--since", metavar="SPAN", help="for instance 7d (default signals.window_days, 28d)"
    )
    gate.add_argument("--format", choices=("table", "json", "markdown", "html"), default="table")


def _add_demo(commands: argparse._SubParsersAction[_Parser]) -> None:
    demo = _command(
        commands,
        "demo",
        "Play a team that swaps a teacher for a student, and show what Tollway says of it.",
        "tollway demo --json findings.json",
        _demo,
    )
    demo.add_argument("--json", metavar="FILE", type=Path, help="write the findings as JSON too")
    demo.add_argument("--data", metavar="DIR", type=Path, help="a new folder for the store")
    demo.add_argument("--traces", type=int, default=1500, help="traces to play (default 1500)")


def _serve(given: argparse.Namespace) -> int:
    from tollway_processor.commands.serve import run_serve
    from tollway_processor.config import load

    flags = {
        ("store",): given.store,
        ("receive", "http"): given.http,
        ("receive", "grpc"): given.grpc,
        ("sql", "listen"): given.sql,
        ("log_format",): given.log_format,
    }
    return run_serve(load(given.config, os.environ, flags), os.environ)


def _migrate(given: argparse.Namespace) -> int:
    from tollway_processor.commands.serve import run_migrate

    return run_migrate(_config(given))


def _replay(given: argparse.Namespace) -> int:
    from tollway_processor.commands.replay import run_replay

    return run_replay(_config(given), os.environ, given.url, given.keep)


def _top(given: argparse.Namespace) -> int:
    from tollway_processor.commands.top import run_top

    return run_top(_config(given), given.url, given.once)


def _config(given: argparse.Namespace) -> Config:
    from tollway_processor.config import load

    return load(given.config, os.environ, {("store",): given.store})


def _sql(given: argparse.Namespace) -> int:
    from tollway_processor.commands.sql import run_sql

    return run_sql(_config(given), given.statement, given.format)


def _costs(given: argparse.Namespace) -> int:
    from tollway_processor.commands.tables import run_costs

    return run_costs(_config(given), given.route, given.since, given.limit, given.format)


def _routes(given: argparse.Namespace) -> int:
    from tollway_processor.commands.tables import run_routes

    return run_routes(_config(given), given.route, given.since, given.format)


def _signals(given: argparse.Namespace) -> int:
    from tollway_processor.commands.signals import run_signals

    return run_signals(_config(given), given.route, given.all, given.format, given.watch)


def _ask(given: argparse.Namespace) -> int:
    from tollway_processor.commands.ask import run_ask

    return run_ask(_config(given), given.question, given.param, given.format)


def _rebuild(given: argparse.Namespace) -> int:
    from tollway_processor.commands.rebuild import run_rebuild

    return run_rebuild(_config(given), given.first, given.last)


def _gate(given: argparse.Namespace) -> int:
    from tollway_processor.commands.gate import Question, run_gate

    question = Question(
        given.route,
        given.baseline,
        given.candidate,
        since=given.since,
        stage=given.stage,
        by=given.by,
        split=given.split,
    )
    return run_gate(_config(given), question, given.format)


def _demo(given: argparse.Namespace) -> int:
    from tollway_processor.demo.runner import run_demo

    return run_demo(given.json, given.data, given.traces)


if __name__ == "__main__":
    sys.exit(main())
