"""Own which labels (route, cohort, variant, session, user) a RunnableConfig sets."""

from __future__ import annotations

import functools
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
_NUMBERED = {"retry:attempt": "attempt", "seq:step": "step"}
_PLUMBING_TAGS = ("seq:step:", "graph:step:", "map:key:", "retry:attempt:", "langsmith:")
_OF_TAG = {"route": attr.ROUTE, "cohort": attr.COHORT, "variant": attr.VARIANT}
_NOTHING: Mapping[str, str] = {}


class Tags:
    """What a run's tags say."""

    __slots__ = ("attempt", "is_plain", "labels", "own", "step")

    def __init__(self, tags: Sequence[str]) -> None:
        parted = [tag.partition(":") for tag in tags]
        self.labels = {
            _OF_TAG[name]: value for name, _, value in parted if name in _OF_TAG and value
        }
        self.own = [tag for tag in tags if not tag.startswith(_PLUMBING_TAGS)]
        """The app's own, without those that LangChain numbers its steps with."""
        self.attempt: int | None = None
        """Which attempt of `with_retry` the run is, None for the first."""
        self.step: int | None = None
        """Which step of a sequence the run is, from 1."""
        for tag in tags:
            plumbing, _, number = tag.rpartition(":")
            if plumbing in _NUMBERED and number.isdecimal():
                setattr(self, _NUMBERED[plumbing], int(number))
        self.is_plain = self.attempt is None and not self.labels
        """Whether they set no label and number no attempt."""


@functools.lru_cache(maxsize=1024)
def _read_tags(tags: tuple[str, ...]) -> Tags:
    return Tags(tags)


NO_TAGS = Tags(())


def read_tags(tags: Sequence[str] | None) -> Tags:
    """Return what tags say; most runs have the same few, so it is kept."""
    return _read_tags(tuple(tags)) if tags else NO_TAGS


def labels_of(metadata: Mapping[str, Any] | None, tags: Tags) -> Mapping[str, str]:
    """Return the labels in a run's metadata and in its tags `route:…`, `cohort:…`, `variant:…`.

    Metadata wins.
    """
    if not metadata or _KEYS.isdisjoint(metadata):
        return tags.labels
    labels = dict(tags.labels)
    _read(metadata, _KEYS, labels)
    return labels


def has_labels(metadata: Mapping[str, Any]) -> bool:
    """Tell whether metadata has a key that sets a label."""
    return not _KEYS.isdisjoint(metadata)


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
