"""Sample-ratio mismatch: an exact e-value, rarely wrong, quick to find a real loss."""

from __future__ import annotations

import math
import random

import pytest
from scipy import stats

from tollway_processor.signals.statistics import check_sample_ratio
from tollway_processor.signals.statistics.evidence import log_threshold


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_evidence_is_expected_to_be_exactly_one(share: float) -> None:
    expectation = math.fsum(
        stats.binom.pmf(n_c, 60, share) * check_sample_ratio(60 - n_c, n_c, share).e_mismatch
        for n_c in range(61)
    )
    assert expectation == pytest.approx(1, abs=1e-9)


def test_agrees_with_the_beta_binomial_of_scipy() -> None:
    expected = [
        stats.betabinom.logpmf(120, 1000, 0.1 * k, 0.9 * k) - stats.binom.logpmf(120, 1000, 0.1)
        for k in (20, 200, 2000)
    ]
    average = math.log(sum(math.exp(value) for value in expected) / 3)
    assert check_sample_ratio(880, 120, 0.1).log_e_mismatch == pytest.approx(average, abs=1e-6)


def test_a_tenth_of_lost_traces_is_found() -> None:
    found = check_sample_ratio(9000, 800, 0.1)
    assert found.is_mismatch
    assert found.realised == pytest.approx(800 / 9800)
    assert not check_sample_ratio(9000, 985, 0.1).is_mismatch


def test_nothing_seen_is_no_mismatch() -> None:
    found = check_sample_ratio(0, 0, 0.1)
    assert (found.log_e_mismatch, found.realised) == (pytest.approx(0, abs=1e-12), 0.1)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        check_sample_ratio(10, 10, share)


def test_the_declared_split_watched_at_each_session_is_rarely_flagged() -> None:
    rng = random.Random(10)
    flags = 0
    for _ in range(200):
        n_c = 0
        for n in range(1, 601):
            n_c += rng.random() < 0.1
            log_e = check_sample_ratio(n - n_c, n_c, 0.1).log_e_mismatch if n % 3 == 0 else 0.0
            if log_e >= log_threshold(0.05):
                flags += 1
                break
    assert flags <= 17
