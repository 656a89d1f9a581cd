"""Records the calls of the OpenAI client, sync and async, also when it is imported later."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import wrapt

from tollway._neighbours import warn_of_double_instrumentation
from tollway.openai import patch

if TYPE_CHECKING:
    from tollway._setup import State

_hook: list[bool] = []
_is_active: list[bool] = []


def activate(state: State) -> Callable[[], None]:
    """Patch the client, now or when it is imported; return what takes the patch back."""
    warn_of_double_instrumentation("openai")
    _is_active[:] = [True]
    # Fires at once where the module is there already.
    wrapt.register_post_import_hook(_imported, patch.MODULE)
    return deactivate


def deactivate() -> None:
    """Take the patch back; a later import of the client is left alone too."""
    _is_active.clear()
    patch.remove()


def _imported(module: Any) -> None:
    if _is_active:
        patch.apply(module)
