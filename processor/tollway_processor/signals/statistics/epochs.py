"""Epochs of constant traffic share, cut from time buckets without looking at any result.

A comparison within epochs stays right while the share ramps up and the base rate drifts; pooled
counts then blame the candidate for the hour of the day. The test over epochs is in proportions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from .proportions import Counts

# A two-sided p of about 0.1. Cutting too often costs no validity and hardly any evidence, since
# alternatives keep their rates over epochs; cutting too late lets drift in.
_SHARE_Z = 1.64


def merge_epochs(buckets: Iterable[Counts]) -> list[Counts]:
    """Return the buckets, in order of time, merged while the candidate's share stays the same.

    Only traffic decides where an epoch ends, never a bad trace, so the test stays valid.
    """
    epochs: list[Counts] = []
    for bucket in buckets:
        if bucket.n_baseline + bucket.n_candidate <= 0:
            continue
        if epochs and not _share_changed(epochs[-1], bucket):
            epochs[-1] = _sum(epochs[-1], bucket)
        else:
            epochs.append(bucket)
    return epochs


def _sum(first: Counts, second: Counts) -> Counts:
    return Counts(*(a + b for a, b in zip(first, second, strict=True)))


def _share_changed(epoch: Counts, bucket: Counts) -> bool:
    """Say whether two stretches of traffic differ in the candidate's share (pooled z test)."""
    n_epoch = epoch.n_baseline + epoch.n_candidate
    n_bucket = bucket.n_baseline + bucket.n_candidate
    share = (epoch.n_candidate + bucket.n_candidate) / (n_epoch + n_bucket)
    variance = share * (1 - share) * (1 / n_epoch + 1 / n_bucket)
    return abs(epoch.share - bucket.share) > _SHARE_Z * math.sqrt(variance)
