"""Own the LangChain and LangGraph integration: `activate` turns it on, what it returns off again.

langchain-core alone is enough; nothing is imported before the app imports it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tollway._setup import State


def activate(state: State) -> Callable[[], None]:
    """Record LangChain's runs from here on; return what stops it and restores every function."""
    from tollway._neighbours import warn_of_double_instrumentation
    from tollway.langchain.patches import Patches
    from tollway.langchain.wrappers import Wrappers

    warn_of_double_instrumentation("langchain")
    wrappers = Wrappers(state)
    patches = Patches(wrappers)
    patches.apply()

    def deactivate() -> None:
        patches.undo()
        wrappers.close()

    return deactivate
