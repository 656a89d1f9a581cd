"""Many comparisons at once: the same answers as compare_rate and conclude, by arrays.

What is paired is left to the functions for one.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from .answers import Answers, CriteriaColumns, SizeColumns
from .arm_columns import ArmColumns
from .bets import Rates
from .comparison import Comparison
from .effect_columns import harms_of, harms_over
from .mean_batch import conclude_means
from .means import MeanQuestion
from .rate_batch import RateBatch
from .rates import RateQuestion, compare_rate, concurrent_rates
from .strata import StrataQuestion

Question = RateQuestion | MeanQuestion | StrataQuestion
_WORTH_ARRAYS = 8  # below, laying out arrays costs more than it saves


def compare_all(questions: Sequence[Question]) -> list[Comparison]:
    """Return the answer to each question, in their order."""
    means: list[tuple[int, MeanQuestion]] = []
    strata: list[tuple[int, StrataQuestion]] = []
    rates: dict[tuple[float, float, float, int], list[tuple[int, RateQuestion]]]
    rates = defaultdict(list)
    for place, question in enumerate(questions):
        if isinstance(question, MeanQuestion):
            means.append((place, question))
        elif isinstance(question, StrataQuestion):
            strata.append((place, question))
        else:
            criteria = question.criteria
            epochs = max(len(question.epochs), 1)
            key = question.prior_rate, criteria.margin, criteria.alpha, epochs
            rates[key].append((place, question))
    answers: dict[int, Comparison] = {}
    for (prior, margin, alpha, _), some in rates.items():
        places, of_rates = zip(*some, strict=True)
        answers.update(zip(places, _rates((prior, margin, alpha), of_rates), strict=True))
    if means:
        places, of_means = zip(*means, strict=True)
        found = conclude_means(of_means, harms_of(of_means))
        answers.update(zip(places, found, strict=True))
    if strata:
        places, of_strata = zip(*strata, strict=True)
        found = conclude_means(of_strata, harms_over(of_strata))
        answers.update(zip(places, found, strict=True))
    return [answers[place] for place in range(len(questions))]


def _one(question: RateQuestion) -> Comparison:
    return compare_rate(
        question.baseline,
        question.candidate,
        question.criteria,
        prior_rate=question.prior_rate,
        epochs=question.epochs,
    )


def _rates(key: tuple[float, float, float], questions: Sequence[RateQuestion]) -> list[Comparison]:
    """Compare rates that share a prior, a margin and an alpha; each distinct set of counts once."""
    if len(questions) < _WORTH_ARRAYS:
        return [_one(question) for question in questions]
    b = ArmColumns.of([q.baseline for q in questions])
    c = ArmColumns.of([q.candidate for q in questions])
    effect = np.maximum(b.rate_design_effect(), c.rate_design_effect())
    sizes = SizeColumns(b.n, c.n, b.effective_clusters, c.effective_clusters)
    criteria = CriteriaColumns([q.criteria for q in questions])
    is_shown = sizes.missing(criteria.traces, criteria.clusters) == 0
    means = np.array((b.mean, c.mean))
    if questions[0].epochs:
        rows = np.array([[*itertools.chain(*question.epochs)] for question in questions])
        if len(questions[0].epochs) > 1:
            means = np.array([concurrent_rates(q.epochs) for q in questions]).T
    else:
        rows = np.column_stack((b.n, b.total, c.n, c.total))
    rows = np.column_stack((rows / effect[:, None], is_shown))
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    which = which.ravel()
    rates = Rates(*(np.ascontiguousarray(distinct[:, first:-1:4].T) for first in range(4)))
    results = RateBatch(*key).compare(rates, distinct[:, -1] > 0)
    answers = Answers(
        methods=["rate"] * len(questions),
        baseline=means[0],
        candidate=means[1],
        difference=rates.shared().differences()[which],
        lower=results.lower[which],
        upper=results.upper[which],
        log_e_regressed=results.log_e_regressed[which],
        log_e_held=results.log_e_held[which],
        log_e_improved=results.log_e_improved[which],
        needed=results.traces_needed[which] * effect,
        design_effect=effect,
        worse=["higher"] * len(questions),
        unknown=(-1.0, 1.0),
    )
    return answers.concluded(sizes, criteria)
