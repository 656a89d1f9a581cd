"""Traces nested, repeated, shuffled and broken in every way cost what a plain reading says they cost."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from tollway_processor.signals.rollup import Rollup

RATES = {"gpt-4o": (Decimal("2.5e-6"), Decimal("1e-5"))}
START_NS = 1_790_000_000_000_000_000
SEEDS = range(4)


@dataclass
class Told:
    """One span as it is sent; `kind` is step, priced, tokens (no price) or bare (no tokens)."""

    number: int
    kind: str
    parent: int | None
    started: int
    tokens: tuple[int, int] = (0, 0)
    shadow: bool = False

    @property
    def strength(self) -> int:
        return {"step": 0, "bare": 1, "tokens": 2, "priced": 3}[self.kind]

    @property
    def cost(self) -> Decimal:
        rates = RATES["gpt-4o"]
        return sum((n * rate for n, rate in zip(self.tokens, rates, strict=True)), Decimal(0))


@dataclass
class Truth:
    """What a trace costs, and which of its calls are told again."""

    cost: Decimal | None = None
    shadow_cost: Decimal = Decimal(0)
    calls: int = 0
    unpriced: int = 0
    again: set[int] = field(default_factory=set)


def paid_below(told: Told, children: dict[int, list[Told]]) -> list[Told]:
    """The calls that are paid in a subtree: the plain recursion that the roll-up must agree with."""
    below = [paid for child in children[told.number] for paid in paid_below(child, children)]
    if told.strength and all(call.strength < told.strength for call in below):
        return [told]
    return below


def truth_of(spans: list[Told]) -> Truth:
    """Walk the tree of a trace whose parents are without circles."""
    known = {span.number for span in spans}
    children: dict[int, list[Told]] = {number: [] for number in known}
    roots = []
    for span in spans:
        has_parent = span.parent in known and span.parent != span.number
        (children[span.parent] if has_parent else roots).append(span)
    paid = [call for root in roots for call in paid_below(root, children)]
    priced = [call for call in paid if call.kind == "priced"]
    shown = [call.cost for call in priced if not call.shadow]
    return Truth(
        cost=sum(shown, Decimal(0)) if shown else None,
        shadow_cost=sum((call.cost for call in priced if call.shadow), Decimal(0)),
        calls=len(paid),
        unpriced=sum(call.kind == "tokens" for call in paid),
        again={s.number for s in spans if s.strength} - {call.number for call in paid},
    )


def some_trace(rng: random.Random) -> list[Told]:
    """A tree of up to 40 spans: chains, bushes, orphans, spans that are their own parent."""
    spans: list[Told] = []
    depth = rng.choice([1, 3, 40])
    for number in range(1, rng.randint(1, 40) + 1):
        parent = rng.choice(spans[-depth:]).number if spans else None
        if rng.random() < 0.1:
            parent = rng.choice([None, number, 999_999])
        kind = rng.choices(["step", "priced", "tokens", "bare"], [4, 5, 1, 1])[0]
        tokens = (
            (rng.randint(1, 900), rng.randint(0, 90)) if kind in ("priced", "tokens") else (0, 0)
        )
        started = START_NS + rng.randint(0, 10**10)  # clocks differ: a child may start before
        spans.append(Told(number, kind, parent, started, tokens, rng.random() < 0.1))
    return spans


def sent(otlp, trace_id: bytes, told: Told):
    model = {"priced": "gpt-4o", "tokens": "nobody-knows", "bare": "gpt-4o"}.get(told.kind)
    attributes: dict[str, object] = {"tollway.shadow": True} if told.shadow else {}
    if model:
        attributes |= {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
        attributes |= {"gen_ai.request.model": model}
    if told.kind in ("priced", "tokens"):
        names = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
        attributes |= dict(zip(names, told.tokens, strict=True))
    return otlp.span(
        trace_id=trace_id,
        span_id=told.number.to_bytes(8, "big"),  # the same ids in every trace
        parent=b"" if told.parent is None else told.parent.to_bytes(8, "big"),
        start_ns=told.started,
        **{name.replace(".", "__"): value for name, value in attributes.items()},
    )


@pytest.mark.parametrize(
    "seed", [SEEDS[0], *(pytest.param(seed, marks=pytest.mark.slow) for seed in SEEDS[1:])]
)
def test_any_traces_in_any_order_cost_what_they_cost(otlp, store, seed):
    rng = random.Random(seed)
    traces = {otlp.trace_id(): some_trace(rng) for _ in range(12)}
    spans = [(trace_id, told) for trace_id, trace in traces.items() for told in trace]
    spans += rng.sample(spans, len(spans) // 3)
    rng.shuffle(spans)
    rollup = Rollup(store)
    cuts = sorted(rng.sample(range(1, len(spans)), 3))
    for start, end in zip([0, *cuts], [*cuts, len(spans)], strict=True):
        otlp.send(*(sent(otlp, *span) for span in spans[start:end]))
        rollup.run()
    for trace_id, trace in traces.items():
        check(store, trace_id.hex(), truth_of(trace))


def check(store, trace_id: str, truth: Truth) -> None:
    (row,) = store.rows(
        "SELECT cost_usd, shadow_cost_usd, calls, unpriced_calls FROM traces FINAL "
        "WHERE trace_id = {id:String}", {"id": trace_id}
    )  # fmt: skip
    cost = None if row["cost_usd"] is None else Decimal(str(row["cost_usd"]))
    found = (cost, Decimal(str(row["shadow_cost_usd"])), row["calls"], row["unpriced_calls"])
    assert found == (truth.cost, truth.shadow_cost, truth.calls, truth.unpriced)
    spans = store.rows(
        "SELECT span_id, cost_status, cost_usd, shadow FROM spans FINAL WHERE trace_id = {id:String}",
        {"id": trace_id},
    )
    again = {int(str(s["span_id"]), 16) for s in spans if s["cost_status"] == "rollup"}
    assert again == truth.again
    counted = [
        Decimal(str(s["cost_usd"]))
        for s in spans
        if s["cost_usd"] is not None and s["cost_status"] != "rollup" and not s["shadow"]
    ]
    assert sum(counted, Decimal(0)) == (truth.cost or 0)
