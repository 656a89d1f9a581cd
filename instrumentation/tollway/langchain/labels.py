"""Own which labels (route, cohort, variant, session, user) a RunnableConfig sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.context import Context

from tollway import attributes as attr
from tollway._context import stamps

_OF_KEY = {
    "route": attr.ROUTE,
    "cohort": attr.COHORT,
    "variant": attr.VARIANT,
    "session_id": attr.SESSION_ID,
    "thread_id": attr.GEN_AI_CONVERSATION_ID,
    "user_id": attr.USER_ID,
    attr.ROUTE: attr.ROUTE,
    attr.COHORT: attr.COHORT,
    attr.VARIANT: attr.VARIANT,
}
_KEYS = frozenset(_OF_KEY)
_CONFIGURABLE = frozenset({"session_id", "thread_id", "user_id"})
_OF_TAG = {"route": attr.ROUTE, "cohort": attr.COHORT, "variant": attr.VARIANT}
_NOTHING: Mapping[str, str] = {}


def labels_of(metadata: Mapping[str, Any] | None, tags: Sequence[str] | None) -> Mapping[str, str]:
    """Return the labels in a run's metadata and in its tags `route:…`, `cohort:…`, `variant:…`.

    Metadata wins.
    """
    labels: dict[str, str] = {}
    if tags:
        for tag in tags:
            name, colon, value = tag.partition(":")
            if colon and value and name in _OF_TAG:
                labels[_OF_TAG[name]] = value
    if metadata and not _KEYS.isdisjoint(metadata):
        _read(metadata, _KEYS, labels)
    return labels or _NOTHING


def labels_of_configurable(configurable: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the session, thread and user that a config's `configurable` names."""
    if _CONFIGURABLE.isdisjoint(configurable):
        return _NOTHING
    labels: dict[str, str] = {}
    _read(configurable, _CONFIGURABLE, labels)
    return labels


def _read(source: Mapping[str, Any], keys: frozenset[str], labels: dict[str, str]) -> None:
    for key in keys:
        value = source.get(key)
        if value is not None and isinstance(value, (str, int)) and value != "":
            labels[_OF_KEY[key]] = str(value)


def complete(labels: Mapping[str, str], context: Context) -> Mapping[str, str]:
    """Return labels with the session added that a thread id stands for, where none is named."""
    thread = labels.get(attr.GEN_AI_CONVERSATION_ID)
    if thread is None or attr.SESSION_ID in labels or attr.SESSION_ID in stamps(context):
        return labels
    return {**labels, attr.SESSION_ID: thread}


def fresh(labels: Mapping[str, str], given: Mapping[str, str]) -> Mapping[str, str]:
    """Return the labels that a run sets itself, without those its config inherited.

    LangChain hands a parent's metadata down to every run below; setting those again would undo a
    `tollway.route` block that the app opened in between.
    """
    if not labels or labels == given:
        return _NOTHING
    return {key: value for key, value in labels.items() if given.get(key) != value}
