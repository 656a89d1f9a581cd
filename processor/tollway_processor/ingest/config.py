"""How requests are gathered into commits, as configuration."""

from __future__ import annotations

import msgspec

MIB = 1 << 20


class BatchConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Group commit: many requests, one statement of the engine."""

    window_s: float = 0.2
    """Seconds between the starts of two commits while requests keep coming."""

    longest_window_s: float = 0.6
    """Seconds to which the window grows while commits carry little."""

    little_share: float = 0.2
    """Share of the time that commits which carry little may run before they must wait for their
    window: each costs some 60 ms to plan, however little it carries."""

    linger_s: float = 0.02
    """Seconds that a busy batch waits at least for the senders which the last commit has just
    answered; up to a third of what that commit took."""

    max_bytes: int = 64 * MIB
    """Decoded bytes of a batch; a fuller one is committed at once."""

    max_requests: int = 64
    """Requests of a batch; a fuller one is committed at once."""

    parallel: int = 2
    """Commits that run at the same time; a second one starts when a full batch waits."""

    drain_s: float = 10.0
    """Seconds that a stop waits for what is queued before it is refused with a retry."""


class DeadLetterConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The files that keep bodies which the engine could not store, for `tollway replay`."""

    file_bytes: int = 16 * MIB
    """Size at which a file is closed and the next one begun."""

    files: int = 8
    """Most files kept; the oldest goes when one more begins."""
