"""Own which attempt of a `with_fallbacks` the running code belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from tollway import attributes as attr
from tollway.langchain.runs import NOTHING, Run


class Attempt:
    """One attempt: 0 is the runnable itself, 1 its first fallback."""

    __slots__ = ("_counted", "_inside", "index", "run")

    def __init__(self, index: int, run: Run | None) -> None:
        self.index = index
        self.run = run
        """The run of the `with_fallbacks` itself, or the one it is shown under."""
        self._counted: set[UUID | None] = set()
        self._inside: set[UUID] = set()
        """The runs that were started in this attempt."""

    def adopt(self, parent: Run | None, run_id: UUID, parent_run_id: UUID | None) -> Run | None:
        """Return the parent of a run started in this attempt, and count the fallback on it.

        LangChain's sync and async `invoke` start the attempts under the parent of the fallback's
        own run; they belong under that. A batch tries the inputs that are left in one attempt:
        each is told by the run above it, which is not shown.
        """
        if self.run is not None and parent is self.run.parent:
            parent = self.run
        if self.index:
            is_first = parent_run_id not in self._inside and parent_run_id not in self._counted
            self._inside.add(run_id)
            if is_first and parent is not None and (self.run is None or parent is self.run):
                self._counted.add(parent_run_id)
                _count(parent)
        return parent

    def attributes(self) -> Mapping[str, Any]:
        """Return what a call made in this attempt says of it."""
        if not self.index:
            return NOTHING
        return {attr.FALLBACK: True, attr.FALLBACK_INDEX: self.index}


def _count(parent: Run) -> None:
    shown: Run | None = parent
    while shown is not None and shown.call is None:
        shown = shown.parent
    if shown is not None and shown.call is not None:
        shown.fallbacks += 1
        shown.call.set(attr.FALLBACK_COUNT, shown.fallbacks)


current_attempt: ContextVar[Attempt | None] = ContextVar("tollway_langchain_attempt", default=None)


def number_attempts(runnables: Iterator[Any]) -> Iterator[Any]:
    """Pass on the runnables that `with_fallbacks` tries in turn, noting which one is tried.

    The note is made in the context of the code that tries them, which copies it for each attempt.
    """
    outer = current_attempt.get()
    run: Run | None = None
    try:
        for index, runnable in enumerate(runnables):
            attempt = Attempt(index, run)
            current_attempt.set(attempt)
            yield runnable
            run = attempt.run
    finally:
        current_attempt.set(outer)
