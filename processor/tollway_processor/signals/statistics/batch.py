"""Many comparisons at once: the same answers as compare_rate and conclude, by arrays.

A comparison of rates over several epochs, and what is paired, is left to the functions for one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from .comparison import Comparison, Evidence, Sizes, State, state_of, still_needed
from .mean_batch import conclude_means
from .means import MeanQuestion
from .rate_batch import RateBatch, RateResults, Rates
from .rates import RateQuestion, compare_rate

Question = RateQuestion | MeanQuestion
_WORTH_ARRAYS = 8  # below, laying out arrays costs more than it saves


def compare_all(questions: Sequence[Question]) -> list[Comparison]:
    """Return the answer to each question, in their order."""
    answers: list[Comparison | None] = [None] * len(questions)
    groups: dict[tuple[float, float, float], list[int]] = defaultdict(list)
    means = []
    for place, question in enumerate(questions):
        if isinstance(question, MeanQuestion):
            means.append(place)
        elif len(question.epochs) > 1:
            answers[place] = _one(question)
        else:
            criteria = question.criteria
            groups[question.prior_rate, criteria.margin, criteria.alpha].append(place)
    for key, places in groups.items():
        asked = [questions[place] for place in places]
        rates = [question for question in asked if isinstance(question, RateQuestion)]
        for place, answer in zip(places, _rates(key, rates), strict=True):
            answers[place] = answer
    told = [question for question in questions if isinstance(question, MeanQuestion)]
    for place, answer in zip(means, conclude_means(told), strict=True):
        answers[place] = answer
    return [answer for answer in answers if answer is not None]


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
    rows = np.array(
        [
            (
                q.baseline.n / e,
                q.baseline.total / e,
                q.candidate.n / e,
                q.candidate.total / e,
                shown,
            )
            for q, e, shown in zip(questions, effects, are_shown, strict=True)
        ]
    )
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    results = RateBatch(*key).compare(Rates(*distinct[:, :4].T), distinct[:, 4] > 0)
    columns = [
        getattr(results, name)[which.ravel()].tolist() for name in RateResults.__dataclass_fields__
    ]
    return [
        _answer(question, size, effect, numbers)
        for question, size, effect, numbers in zip(
            questions, sizes, effects, zip(*columns, strict=True), strict=True
        )
    ]


def _answer(
    question: RateQuestion, sizes: Sizes, effect: float, numbers: tuple[float, ...]
) -> Comparison:
    regressed, held, improved, lower, upper, needed = numbers
    baseline, candidate = question.baseline.mean, question.candidate.mean
    difference = candidate - baseline
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
