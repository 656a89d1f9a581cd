"""`tollway prices explain | missing | list`: which price a call has, and why."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from rich.table import Table

from tollway_processor.commands.reader import ask, reader, rows, since_s
from tollway_processor.commands.tables import console
from tollway_processor.config import Config
from tollway_processor.errors import UsageError
from tollway_processor.pricing import table
from tollway_processor.pricing.config import user_rows
from tollway_processor.pricing.lookup import Found, Lookup
from tollway_processor.pricing.schedule import Stretch


class Question(NamedTuple):
    """A call as its price is asked for."""

    provider: str
    model: str
    at: str | None
    tier: str
    input_tokens: int


def run_explain(config: Config, question: Question, format: str) -> int:
    """Show the steps from a told model to its price; exit code 1 when it has none."""
    moment = moment_of(question.at, "--at")
    with reader(config) as source:
        held, faults = user_rows(table.row_of(cells) for cells in rows(source, table.SELECT, {}))
        models = {row["told"]: row["model"] for row in rows(source, table.MODELS, {})}
    for fault in faults:
        print(f"left out: {fault}", file=sys.stderr)
    found = Lookup(held, models | config.prices.models).find(question.provider, question.model)
    second = moment.hour * 3600 + moment.minute * 60 + moment.second
    tier = question.tier.lower()
    stretch = found.schedule.find(tier, second, question.input_tokens, moment.date())
    answer = _answer(question, moment, found, stretch)
    if format == "json":
        print(json.dumps(answer, indent=1))
    else:
        _print(answer)
    return 0 if stretch else 1


def _answer(
    question: Question, moment: datetime, found: Found, stretch: Stretch | None
) -> dict[str, Any]:
    steps = list(found.resolution.steps)
    considered = [row.price_id for row in reversed(found.rows)]
    answer: dict[str, Any] = {
        "steps": steps,
        "rows": considered,
        "priced_as": found.resolution.text,
    }
    if stretch is None:
        steps.append(f"no row of prices holds on {moment:%Y-%m-%d}: the call is unpriced")
        return answer | {"price_id": None}
    tier = question.tier.lower()
    if stretch.tier != tier:
        steps.append(f"the tier {tier} has no price of its own: {stretch.tier} holds")
    steps.append(
        f"on {moment:%Y-%m-%d %H:%M} UTC, {question.input_tokens} tokens in: {stretch.row.price_id}"
    )
    return answer | {
        "price_id": stretch.row.price_id,
        "origin": stretch.row.origin,
        "tier": stretch.tier,
        "days": [stretch.first.isoformat(), stretch.last.isoformat()],
        "status": "estimated" if stretch.charge.is_estimated else "computed",
        "discount_percent": _text(stretch.row.discount_percent),
        "usd_per_unit": {unit: _text(rate) for unit, rate in stretch.charge.rates.items()},
        "usd_per_second": _text(stretch.charge.second_usd or None),
    }


def _print(answer: Mapping[str, Any]) -> None:
    out = console()
    for number, step in enumerate(answer["steps"], 1):
        out.print(f"{number}. {step}", markup=False, highlight=False)
    for price_id in answer["rows"]:
        mark = "→" if price_id == answer["price_id"] else " "
        out.print(f"  {mark} {price_id}", markup=False, highlight=False)
    for unit, rate in answer.get("usd_per_unit", {}).items():
        told = (
            f"{Decimal(rate) * 1_000_000:f} USD a million"
            if unit.endswith("_tokens")
            else f"{rate} USD each"
        )
        out.print(f"    {unit}: {told}", markup=False, highlight=False)


def run_missing(config: Config, since: str | None, format: str) -> int:
    """List the models without a price."""
    with reader(config) as source:
        found = ask(source, "missing_prices", {"since_s": since_s(since)})
    _show("Models without a price", found, format)
    if found and format == "table":
        print(
            "Give each a row in [[prices]] or a name in [prices.models], then `tollway reprice`.",
            file=sys.stderr,
        )
    return 0


def run_list(config: Config, filters: Mapping[str, str], at: str | None, format: str) -> int:
    """List the rows that hold on a day."""
    at_s = int(moment_of(at, "--at").timestamp())
    with reader(config) as source:
        found = ask(source, "price_rows", {**filters, "at_s": at_s})
    _show("Prices (USD a token)", found, format)
    return 0


def moment_of(text: str | None, flag: str) -> datetime:
    """Return a day or time of the command line, in UTC; now for none. Raises UsageError."""
    if not text:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{flag} {text}: give a day such as 2026-06-01, or a time") from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _show(title: str, found: Sequence[Mapping[str, Any]], format: str) -> None:
    if format == "json":
        print(json.dumps(found, indent=1))
        return
    shown = Table(title=title, title_justify="left")
    for name in list(found[0]) if found else ["none"]:
        shown.add_column(name, overflow="fold")
    for row in found:
        shown.add_row(*("" if cell is None else str(cell) for cell in row.values()))
    console().print(shown)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"
