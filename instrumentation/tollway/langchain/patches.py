"""Own which functions of LangChain and LangGraph are patched, when, and how they come back.

A module that the app has not imported yet is patched when it is; nothing is imported for it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

import wrapt

from tollway.langchain.wrappers import Wrappers

Build = Callable[[Any, Wrappers], Any]
_Wrapper = Callable[[Any, Any, Any, Any], Any]


def _wrapped(name: str) -> Build:
    return lambda original, wrappers: wrapt.FunctionWrapper(original, getattr(wrappers, name))


def _body(original: Any, wrappers: Wrappers) -> Any:
    return wrappers.body(original)


_MODEL_METHODS: Mapping[str, Build] = {
    "invoke": _wrapped("model_invoke"),
    "ainvoke": _wrapped("amodel_invoke"),
    "generate": _wrapped("model"),
    "agenerate": _wrapped("amodel"),
    "stream": _wrapped("model_stream"),
    "astream": _wrapped("amodel_stream"),
}
_TABLE: Mapping[str, Mapping[str, Build]] = {
    "langchain_core.runnables.config": {"_set_config_context": _body},
    "langgraph._internal._runnable": {"_set_config_context": _body},
    "langchain_core.language_models.chat_models": {
        f"BaseChatModel.{name}": build for name, build in _MODEL_METHODS.items()
    },
    "langchain_core.language_models.llms": {
        f"BaseLLM.{name}": build for name, build in _MODEL_METHODS.items()
    },
    "langchain_core.retrievers": {
        "BaseRetriever.invoke": _wrapped("retriever"),
        "BaseRetriever.ainvoke": _wrapped("aretriever"),
    },
    "langchain_core.tools.base": {"BaseTool.arun": _wrapped("atool")},
    "langchain_core.runnables.fallbacks": {
        "RunnableWithFallbacks.runnables": lambda original, wrappers: wrappers.runnables(original),
        "RunnableWithFallbacks.stream": _wrapped("fallback_stream"),
        "RunnableWithFallbacks.astream": _wrapped("afallback_stream"),
    },
    "langchain_core.callbacks.manager": {
        "AsyncCallbackManager.on_llm_start": _wrapped("async_llm_start")
    },
    "langgraph.pregel.main": {
        "Pregel.stream": _wrapped("graph_stream"),
        "Pregel.astream": _wrapped("agraph_stream"),
    },
}
_HOOKS_MODULE = "langchain_core.tracers.context"
_hooked: set[str] = set()


class Patches:
    """The patches of one activation."""

    def __init__(self, wrappers: Wrappers) -> None:
        self._wrappers = wrappers
        self._originals: list[tuple[Any, str, Any]] = []
        self._configure_hooks: list[Any] | None = None

    def apply(self) -> None:
        """Patch what is imported already, and the rest when it is."""
        global _active  # noqa: PLW0603 - import hooks cannot be taken back, so they look here
        _active = self
        for module in (*_TABLE, _HOOKS_MODULE):
            if module in sys.modules:
                self.patch(module, sys.modules[module])
            elif module not in _hooked:
                _hooked.add(module)
                wrapt.register_post_import_hook(functools.partial(_imported, module), module)

    def patch(self, name: str, module: Any) -> None:
        """Patch one module; a function that this version does not have is left out."""
        if name == _HOOKS_MODULE:
            hook = (self._wrappers.callback_var, True, None, None)
            module._configure_hooks.append(hook)
            self._configure_hooks = module._configure_hooks
            return
        for path, build in _TABLE[name].items():
            owner_name, _, attribute = path.rpartition(".")
            owner = getattr(module, owner_name, None) if owner_name else module
            original = None if owner is None else vars(owner).get(attribute)
            if original is not None:
                setattr(owner, attribute, build(original, self._wrappers))
                self._originals.append((owner, attribute, original))

    def undo(self) -> None:
        """Put back every function, the very one it was."""
        global _active  # noqa: PLW0603
        _active = None
        while self._originals:
            owner, attribute, original = self._originals.pop()
            setattr(owner, attribute, original)
        if self._configure_hooks is not None:
            ours = self._wrappers.callback_var
            self._configure_hooks[:] = [h for h in self._configure_hooks if h[0] is not ours]


_active: Patches | None = None


def _imported(name: str, module: Any) -> None:
    if _active is not None:
        _active.patch(name, module)
