"""Many comparisons at once: the same answers as compare_rate and conclude, by arrays.

What is paired is left to the functions for one.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from .bets import Rates
from .comparison import Comparison, Evidence, Sizes, State, state_of, still_needed
from .mean_batch import conclude_means
from .means import MeanQuestion
from .proportions import Counts
from .rate_batch import RateBatch, RateResults
from .rates import RateQuestion, compare_rate, concurrent_rates

Question = RateQuestion | MeanQuestion
_WORTH_ARRAYS = 8  # below, laying out arrays costs more than it saves


def compare_all(questions: Sequence[Question]) -> list[Comparison]:
    """Return the answer to each question, in their order."""
    answers: dict[int, Comparison] = {}
    groups: dict[tuple[float, float, float, int], list[int]] = defaultdict(list)
    means: list[int] = []
    told: list[MeanQuestion] = []
    for place, question in enumerate(questions):
        if isinstance(question, MeanQuestion):
            means.append(place)
            told.append(question)
        else:
            criteria = question.criteria
            epochs = max(len(question.epochs), 1)
            groups[question.prior_rate, criteria.margin, criteria.alpha, epochs].append(place)
    for key, places in groups.items():
        asked = [questions[place] for place in places]
        rates = [question for question in asked if isinstance(question, RateQuestion)]
        answers.update(zip(places, _rates(key[:3], rates), strict=True))
    answers.update(zip(means, conclude_means(told), strict=True))
    return [answers[place] for place in range(len(questions))]


def _one(question: RateQuestion) -> Comparison:
    return compare_rate(
        question.baseline,
        question.candidate,
        question.criteria,
        prior_rate=question.prior_rate,
        epochs=question.epochs,
    )


def _rates(key: tuple[float, float, float], questions: list[RateQuestion]) -> list[Comparison]:
    """Compare rates that share a prior, a margin and an alpha; each distinct set of counts once."""
    if len(questions) < _WORTH_ARRAYS:
        return [_one(question) for question in questions]
    effects = [
        max(q.baseline.rate_design_effect(), q.candidate.rate_design_effect()) for q in questions
    ]
    sizes = [Sizes.of(q.baseline, q.candidate) for q in questions]
    are_shown = [
        not size.missing_traces(q.criteria) for size, q in zip(sizes, questions, strict=True)
    ]
    rows = np.array([[*itertools.chain(*_epochs(question))] for question in questions])
    rows = np.column_stack((rows / np.array(effects)[:, None], are_shown))
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    rates = Rates(*(np.ascontiguousarray(distinct[:, first:-1:4].T) for first in range(4)))
    results = RateBatch(*key).compare(rates, distinct[:, -1] > 0)
    differences = rates.shared().differences()[which.ravel()].tolist()
    columns = [
        getattr(results, name)[which.ravel()].tolist() for name in RateResults.__dataclass_fields__
    ]
    return [
        _answer(question, size, effect, difference, numbers)
        for question, size, effect, difference, numbers in zip(
            questions, sizes, effects, differences, zip(*columns, strict=True), strict=True
        )
    ]


def _epochs(question: RateQuestion) -> Sequence[Counts]:
    if question.epochs:
        return question.epochs
    b, c = question.baseline, question.candidate
    return (Counts(b.n, b.total, c.n, c.total),)


def _answer(
    question: RateQuestion,
    sizes: Sizes,
    effect: float,
    difference: float,
    numbers: tuple[float, ...],
) -> Comparison:
    regressed, held, improved, lower, upper, needed = numbers
    baseline, candidate = question.baseline.mean, question.candidate.mean
    if len(question.epochs) > 1:
        baseline, candidate = concurrent_rates(question.epochs)
    evidence = Evidence(regressed, held, improved)
    state = state_of(difference, evidence, sizes, question.criteria)
    needed = needed * effect if state.is_open else 0.0
    if state is State.INSUFFICIENT:
        lower, upper = -1.0, 1.0
    return Comparison(
        method="rate",
        baseline=baseline,
        candidate=candidate,
        difference=difference,
        lower=lower,
        upper=upper,
        evidence=evidence,
        sizes=sizes,
        criteria=question.criteria,
        state=state,
        traces_needed=still_needed(
            needed if math.isfinite(needed) else math.inf, state, sizes, question.criteria
        ),
        design_effect=effect,
    )
