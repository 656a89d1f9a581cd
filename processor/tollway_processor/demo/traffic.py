"""The demo's customers: which tickets arrive, on which route, in which cohort, on which variant.

Repeatable for a given count. Sessions stick to one variant, as a real experiment's would.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tollway_processor.demo.answers import STUDENT, TEACHER

Variant = Literal["teacher", "student"]

MODELS: Final[dict[Variant, str]] = {"teacher": TEACHER, "student": STUDENT}

MIX: Final[Sequence[tuple[str, str]]] = (
    *[("refunds", "standard")] * 4,
    *[("refunds", "vip")] * 2,
    ("refunds", "account-closure"),
    *[("faq", "general")] * 2,
    ("faq", "billing"),
)
"""(route, cohort) of every ten tickets of a variant: a tenth of all are account closures."""

TEXTS: Final[dict[str, str]] = {
    "standard": "Order {order} arrived damaged, photograph attached. Please refund ${amount}.",
    "vip": "VIP. Where is order {order}? If it is lost I want my ${amount} back.",
    "account-closure": "Please close my account {account}. I have moved and need it no longer.",
    "general": "How do I change the delivery address of ticket {number}?",
    "billing": "Why was I billed twice this month, see ticket {number}?",
}


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request of a customer; becomes one trace."""

    number: int
    route: str
    cohort: str
    variant: Variant
    text: str

    @property
    def model(self) -> str:
        """The model that serves this ticket's variant."""
        return MODELS[self.variant]


@dataclass(frozen=True, slots=True)
class Session:
    """One customer's visit: one to three tickets, all served by the same variant."""

    id: str
    user: str
    tickets: tuple[Ticket, ...]


def sessions(count: int, seed: int = 7) -> list[Session]:
    """Return sessions that hold `count` tickets together, variants half and half."""
    chance = random.Random(seed)
    visits: list[Session] = []
    shares: tuple[tuple[Variant, int], ...] = (
        ("teacher", count - count // 2),
        ("student", count // 2),
    )
    for variant, share in shares:
        mix = [MIX[index % len(MIX)] for index in range(share)]
        chance.shuffle(mix)
        offset = 0 if variant == "teacher" else 500_000
        tickets = [
            _ticket(100_000 + offset + index, route, cohort, variant, chance)
            for index, (route, cohort) in enumerate(mix)
        ]
        visits.extend(_visits(tickets, chance))
    chance.shuffle(visits)
    return visits


def _ticket(
    number: int, route: str, cohort: str, variant: Variant, chance: random.Random
) -> Ticket:
    text = TEXTS[cohort].format(
        number=number,
        order=f"O-{number}",
        account=f"A-{number}",
        amount=f"{chance.uniform(8, 140):.2f}",
    )
    return Ticket(number, route, cohort, variant, text)


def _visits(tickets: Sequence[Ticket], chance: random.Random) -> Iterator[Session]:
    start = 0
    while start < len(tickets):
        size = chance.choice((1, 1, 2, 2, 3))
        own = tuple(tickets[start : start + size])
        yield Session(id=f"s-{own[0].number}", user=f"u-{own[0].number}", tickets=own)
        start += size
