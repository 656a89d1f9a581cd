"""Which comparison a route's policy asks for, and what the answers mean to its verdict."""

from __future__ import annotations

import numpy as np
import pytest

from tollway_processor.signals.arms import Pairs, RouteArms
from tollway_processor.signals.evaluate import Task, evaluate, evaluate_all
from tollway_processor.signals.latency import Histogram
from tollway_processor.signals.policy import MetricPolicy, RoutePolicy, SignalsConfig
from tollway_processor.signals.record import signal_rows, verdict_row
from tollway_processor.signals.statistics import (
    Arm,
    Decision,
    PairCounts,
    Role,
    State,
    rate_arm,
)
from tollway_processor.signals.traffic import Traffic

FAILS = "score_fail:json_valid"


def counts(**cohorts):
    """cohort=((teacher n, fails), (student n, fails)) to arms of errors and one score."""
    arms = {}
    for cohort, sides in cohorts.items():
        name = cohort.replace("builtin_", "builtin:").replace("_", "-")
        for side, (n, bad) in zip(("teacher", "student"), sides, strict=True):
            arms[name, side, "error"] = rate_arm(n, n // 100)
            arms[name, side, FAILS] = rate_arm(n, bad)
    return arms


def judge(arms, config=None, **more):
    return evaluate("refunds", RouteArms(arms, **more), "teacher", "student", config=config)


def signal(evaluation, cohort, metric=FAILS):
    (found,) = [
        m for m in evaluation.measured if (m.signal.cohort, m.signal.metric) == (cohort, metric)
    ]
    return found


def policy(**route):
    return SignalsConfig(routes={"refunds": RoutePolicy(**route)})


HEALTHY = ((8000, 240), (4000, 120))


def test_simpson_case_is_named_with_its_cohorts():
    evaluation = judge(counts(easy=((1200, 12), (3800, 228)), hard=((2800, 840), (200, 80))))
    found = signal(evaluation, None)
    assert found.reversal is not None
    assert found.reversal.pooled < 0 < found.signal.comparison.difference
    assert "Simpson's paradox" in found.reason
    (row,) = [r for r in signal_rows(evaluation, "t") if (r["cohort"], r["metric"]) == ("*", FAILS)]
    assert row["pooled_harm"] < 0 < row["harm"]
    assert evaluation.verdict.decision is Decision.ROLLBACK


def test_declared_mix_weighs_the_cohorts():
    arms = counts(easy=((8000, 80), (4000, 40)), hard=((2000, 400), (1000, 300)))
    equal = judge(arms, policy(mix={"easy": 0.5, "hard": 0.5}))
    assert signal(equal, None).signal.comparison.difference == pytest.approx(0.5 * 0.1)
    traffic = judge(arms)
    assert signal(traffic, None).signal.comparison.difference == pytest.approx(0.2 * 0.1)


def test_split_that_differs_from_the_declared_one_holds():
    arms = counts(easy=HEALTHY, hard=HEALTHY)
    fitting = judge(arms, policy(shares={"student": 1 / 3}))
    off = judge(arms, policy(shares={"student": 0.3}))
    assert fitting.verdict.decision is Decision.PROMOTE
    assert off.verdict.decision is Decision.HOLD
    assert "instead of 30.0%" in off.verdict.headline
    row = verdict_row(off, "t")
    assert (row["is_ratio_mismatch"], row["declared_share"]) == (True, 0.3)
    assert row["realised_share"] == pytest.approx(1 / 3)


def test_declared_shares_are_chance_and_the_rest_is_observational():
    arms = counts(easy=HEALTHY)
    assert judge(arms).is_observational
    assert not judge(arms, policy(shares={"student": 1 / 3})).is_observational
    assert not judge(arms, policy(assignment="random")).is_observational
    released = evaluate(
        "refunds", RouteArms(arms), "teacher", "student",
        config=policy(assignment="random"), dimension="release",
    )  # fmt: skip
    assert released.is_observational
    assert verdict_row(released, "t")["candidate"] == "release:student"


def test_built_in_cohort_rolls_back_and_need_not_hold():
    few = counts(easy=HEALTHY, builtin_non_english=((60, 2), (60, 2)))
    assert judge(few).verdict.decision is Decision.PROMOTE
    assert signal(judge(few), "builtin:non-english").signal.role is Role.TRIPWIRE
    broken = counts(easy=HEALTHY, builtin_non_english=((300, 10), (300, 150)))
    assert judge(broken).verdict.decision is Decision.ROLLBACK
    declared = judge(few, policy(cohorts=["builtin:non-english"]))
    assert declared.verdict.decision is Decision.HOLD


def test_only_declared_cohorts_decide():
    arms = counts(easy=HEALTHY, tests=((200, 6), (200, 100)))
    assert judge(arms).verdict.decision is Decision.ROLLBACK
    assert signal(judge(arms, policy(cohorts=["easy"])), "tests").signal.has_weight is False
    held = judge(arms, policy(cohorts=["easy"], mix={"easy": 1}))
    assert held.verdict.decision is not Decision.ROLLBACK


def test_rare_cohorts_are_judged_together():
    rare = {f"rare{k}": ((150, 3), (150, 12)) for k in range(4)}
    evaluation = judge(counts(easy=HEALTHY, **rare))
    together = signal(evaluation, "builtin:rare").signal.comparison
    assert (together.sizes.n_baseline, together.sizes.n_candidate) == (600, 600)
    assert together.state is State.REGRESSED
    assert signal(evaluation, "rare0").signal.state is not State.REGRESSED


def test_margin_declared_for_a_route_decides():
    arms = counts(easy=((8000, 240), (4000, 180)))
    assert signal(judge(arms), None).signal.state is State.REGRESSED
    wide = policy(metrics={"score_fail": MetricPolicy(margin=0.05, floor=0.02)})
    assert signal(judge(arms, wide), None).signal.state is State.HELD


def test_wait_is_told_in_traces_and_days():
    arms = counts(easy=((900, 45), (100, 5)))
    traffic = Traffic(0, 2 * 86_400)
    found = signal(judge(arms, traffic=traffic), None)
    needed = found.signal.comparison.traces_needed
    assert found.signal.state is State.INCONCLUSIVE
    assert found.days_needed == pytest.approx(needed * 2 / 100)
    assert "At the present rate that takes about" in found.reason


def test_few_users_are_said_to_be_what_is_missing():
    arms = {
        ("", side, name): Arm(1000, bad, bad, 5, bad * 200.0, bad * 200.0, 200_000)
        for side in ("teacher", "student")
        for name, bad in (("error", 10.0), (FAILS, 50.0))
    }
    found = signal(judge(arms), None)
    assert found.signal.state is State.INSUFFICIENT
    assert "from 5 sessions or users against 5 where 20 are needed" in found.reason


def test_outage_of_the_teacher_is_no_news_of_the_student():
    """During the outage the student serves nearly all; pooled, its old errors would seem to fall."""
    first = (rate_arm(9000, 90), rate_arm(1000, 10))
    outage = (rate_arm(300, 270), rate_arm(2700, 27))
    whole = [a + b for a, b in zip(first, outage, strict=True)]
    arms = {("", "teacher", "error"): whole[0], ("", "student", "error"): whole[1]}
    epochs = {
        ("", side, "error"): {0: first[k], 1: outage[k]}
        for k, side in enumerate(("teacher", "student"))
    }
    found = signal(judge(arms, epochs=epochs), None, "error").signal.comparison
    weights = (9000 * 1000 / 10_000, 300 * 2700 / 3000)
    expected = (weights[0] * 0 + weights[1] * (0.01 - 0.9)) / sum(weights)
    assert found.difference == pytest.approx(expected, abs=1e-3)
    assert found.state is State.IMPROVED


def timed(n, slow):
    """Latency of n traces, so many of them slow, and their logarithms."""
    fast, late = 300, 345  # bins of 1/50 of ln ms
    logs = ((n - slow) * fast + slow * late) / 50
    squares = ((n - slow) * fast**2 + slow * late**2) / 2500
    return Histogram((fast, late), (n - slow, slow)), Arm(n, logs, squares)


def in_epochs(times):
    """[(teacher n, slow), (student n, slow)] of each epoch to what is known of a route."""
    arms, latency, by_epoch = {}, {}, {"epochs": {}, "latency_epochs": {}}
    for k, side in enumerate(("teacher", "student")):
        told = [timed(*sides[k]) for sides in times]
        n = sum(sides[k][0] for sides in times)
        arms["", side, "error"] = rate_arm(n, 0)
        arms["", side, "log_duration_ms"] = sum((logs for _, logs in told), Arm(0, 0.0))
        latency["", side, "duration"] = sum((h for h, _ in told), Histogram((), ()))
        present = [e for e, sides in enumerate(times) if sides[k][0]]
        by_epoch["epochs"]["", side, "error"] = {e: rate_arm(times[e][k][0], 0) for e in present}
        by_epoch["epochs"]["", side, "log_duration_ms"] = {e: told[e][1] for e in present}
        by_epoch["latency_epochs"]["", side, "duration"] = {e: told[e][0] for e in present}
    return arms, {"latency": latency, **by_epoch}


def test_slower_times_of_both_sides_are_no_tail_of_the_candidate():
    """The teacher served alone while all was fast; since the student came, all is slow."""
    arms, known = in_epochs([[(2000, 100), (0, 0)], [(2000, 1000), (2000, 1000)]])
    threshold = {("*", "teacher", "duration_above_p95"): 300}
    evaluation = judge(arms, thresholds=threshold, **known)
    tail = signal(evaluation, None, "latency_above_p95").signal.comparison
    assert (tail.baseline, tail.candidate) == (pytest.approx(0.5), pytest.approx(0.5))
    assert tail.difference == pytest.approx(0, abs=1e-9)
    assert tail.state in (State.HELD, State.INCONCLUSIVE)
    median = signal(evaluation, None, "latency_p50_ms").signal.comparison
    assert median.difference == 0
    assert evaluation.verdict.decision is not Decision.ROLLBACK


def test_tail_over_cohorts_is_no_surer_than_its_traces():
    """A few slow traces more, within two epochs: their chance must not vanish between cohorts."""
    arms, known = {}, {"latency": {}, "epochs": {}, "latency_epochs": {}}
    for cohort in ("easy", "hard"):
        told, more = in_epochs([[(900, 45), (100, 5)], [(300, 15), (100, 10)]])
        arms |= {(cohort, *key[1:]): arm for key, arm in told.items()}
        for name, found in more.items():
            known[name] |= {(cohort, *key[1:]): value for key, value in found.items()}
    frozen = {
        (c, "teacher", "duration_above_p95"): 300 for c in ("*", "easy", "hard")
    }  # fmt: skip
    tail = signal(judge(arms, thresholds=frozen, **known), None, "latency_above_p95")
    assert tail.signal.comparison.difference > 0.02
    assert tail.signal.state is State.INCONCLUSIVE
    assert tail.signal.comparison.lower < 0


def test_one_time_that_both_served_is_all_that_is_compared():
    """Means and cohorts together: the teacher's weeks alone, when all was fast, do not count."""
    alone, together = rate_arm(9000, 90), rate_arm(1000, 100)
    arms, epochs = {}, {}
    for cohort in ("easy", "hard"):
        for name in ("error", "log_duration_ms"):
            arms[cohort, "teacher", name] = alone + together
            arms[cohort, "student", name] = together
            epochs[cohort, "teacher", name] = {0: alone, 1: together}
            epochs[cohort, "student", name] = {1: together}
    evaluation = judge(arms, epochs=epochs)
    for metric in ("error", "latency_ms"):
        for cohort, n in ((None, 2000), ("easy", 1000)):
            found = signal(evaluation, cohort, metric).signal.comparison
            assert found.difference == pytest.approx(0, abs=1e-9), (metric, cohort)
            assert (found.sizes.n_baseline, found.sizes.n_candidate) == (n, n)


def test_metric_that_no_time_has_of_both_sides_is_not_measured():
    arms = counts(easy=((2000, 20), (1000, 100)))
    epochs = {
        ("easy", "teacher", "error"): {0: rate_arm(1000, 10), 1: rate_arm(1000, 10)},
        ("easy", "student", "error"): {1: rate_arm(1000, 10)},
        ("easy", "teacher", FAILS): {0: rate_arm(2000, 20)},
        ("easy", "student", FAILS): {1: rate_arm(1000, 100)},
    }
    evaluation = judge(arms, epochs=epochs)
    assert signal(evaluation, None).signal.comparison is None
    assert evaluation.verdict.decision is Decision.HOLD


def test_tail_is_found_within_the_times_that_both_served():
    arms, known = in_epochs([[(2000, 1000), (0, 0)], [(2000, 100), (2000, 400)]])
    threshold = {("*", "teacher", "duration_above_p95"): 300}
    tail = signal(judge(arms, thresholds=threshold, **known), None, "latency_above_p95")
    assert tail.signal.comparison.difference == pytest.approx(0.15, abs=1e-9)
    assert tail.signal.state is State.REGRESSED


def test_releases_that_follow_each_other_are_compared_over_all_their_traces():
    """Of a roll-out only minutes overlap; what is before and after is what there is to compare."""
    arms, known = in_epochs([[(3000, 0), (0, 0)], [(600, 0), (500, 0)], [(0, 0), (3000, 0)]])
    arms["", "student", "error"] = rate_arm(3500, 600)
    known["epochs"]["", "student", "error"] = {1: rate_arm(500, 0), 2: rate_arm(3000, 600)}
    task = Task("refunds", RouteArms(arms, **known), "teacher", "student", "release")
    followed = signal(evaluate_all([task])[0], None, "error").signal
    assert followed.state is State.REGRESSED
    beside = signal(judge(arms, **known), None, "error").signal
    assert beside.state is not State.REGRESSED, "variants are compared where both served"


def test_variants_that_never_served_together_are_observational():
    arms, known = in_epochs([[(3000, 0), (0, 0)], [(0, 0), (3000, 0)]])
    assert judge(arms, policy(assignment="random"), **known).is_observational


def test_declared_split_is_the_one_of_the_newest_epoch():
    """First 10 %, then half: now half is declared."""
    arms, known = in_epochs([[(9000, 0), (1000, 0)], [(3000, 0), (3000, 0)]])
    ratio = judge(arms, policy(shares={"student": 0.5}), **known).sample_ratio
    assert (ratio.realised, ratio.is_mismatch) == (0.5, False)
    ratio = judge(arms, policy(shares={"student": 0.1}), **known).sample_ratio
    assert ratio.is_mismatch


def test_pairs_are_compared_as_pairs():
    arms = counts(easy=((1000, 80), (1000, 80)))
    told = {
        ("*", "teacher", "student", name): Pairs(
            PairCounts(1000, only, 10, 70), Arm(1000, only - 10, only + 10), 0.08
        )
        for name, only in (("error", 10), (FAILS, 45))
    }
    told |= {("easy", *key[1:]): pairs for key, pairs in told.items()}
    evaluation = judge(arms, pairs=told)
    assert (evaluation.is_paired, evaluation.is_observational) == (True, False)
    found = signal(evaluation, None).signal.comparison
    assert (found.method, found.state) == ("paired_rate", State.REGRESSED)
    assert found.difference == pytest.approx(0.035)


def test_slow_tail_is_found_beyond_the_baselines_quantile():
    rng = np.random.default_rng(1)
    arms, latency = {}, {}
    for side, slow in (("teacher", 0.0), ("student", 0.1)):
        n = 4000 if side == "teacher" else 1000
        logs = rng.normal(6, 0.5, n) + np.log(4) * (rng.random(n) < slow)
        arms["", side, "error"] = rate_arm(n, 0)
        arms["", side, "log_duration_ms"] = Arm(n, float(logs.sum()), float((logs**2).sum()))
        bins, sizes = np.unique(np.round(logs * 50).astype(int), return_counts=True)
        latency["", side, "duration"] = Histogram(bins.tolist(), sizes.tolist())
    evaluation = judge(arms, latency=latency)
    tail = signal(evaluation, None, "latency_above_p95").signal.comparison
    assert (tail.state, tail.baseline) == (State.REGRESSED, pytest.approx(0.05, abs=0.01))
    p99 = signal(evaluation, None, "latency_p99_ms").signal
    assert (p99.role, p99.state) == (Role.WATCHED, State.REGRESSED)
    frozen = {(t.metric, t.cohort): t.bin for t in evaluation.to_freeze}
    kept = judge(arms, latency=latency, thresholds={("*", "teacher", "duration_above_p95"): 200})
    moved = signal(kept, None, "latency_above_p95").signal.comparison
    assert moved.baseline > 0.9
    assert frozen["duration_above_p95", "*"] > 200


def test_what_the_error_rates_hold_over_is_said():
    said = judge(counts(easy=HEALTHY, hard=HEALTHY)).multiplicity
    assert said.startswith("6 comparisons may roll back and 6 must hold.")


def watched(rng, runs, harm, looks):
    """Verdicts of `runs` routes at each look: three cohorts, six rates, equal but for one cell."""
    cohorts, names = ("a", "b", "c"), [f"score_fail:m{k}" for k in range(6)]
    sums = np.zeros((runs, 3, 6, 2, 2))
    for _ in range(looks):
        for side, step in ((0, 150), (1, 150)):
            rate = np.full((3, 6), 0.05)
            if side == 1:
                rate[2, 0] += harm
            sums[..., side, 0] += step
            sums[..., side, 1] += rng.binomial(step, np.broadcast_to(rate, (runs, 3, 6)))
        tasks = []
        for run in range(runs):
            arms = {}
            for i, cohort in enumerate(cohorts):
                for side, name in enumerate(("teacher", "student")):
                    for k, metric in enumerate(names):
                        n, bad = sums[run, i, k, side]
                        arms[cohort, name, metric] = rate_arm(int(n), int(bad))
                    arms[cohort, name, "error"] = rate_arm(int(n), 0)
            tasks.append(Task("r", RouteArms(arms), "teacher", "student"))
        yield [evaluation.verdict.decision for evaluation in evaluate_all(tasks)]


def test_equal_candidate_is_rarely_rolled_back_over_all_its_cells():
    ever = np.zeros(60, dtype=bool)
    for decisions in watched(np.random.default_rng(11), 60, 0.0, 8):
        ever |= np.array([decision is Decision.ROLLBACK for decision in decisions])
    assert ever.sum() <= 4


def test_candidate_harmful_by_the_margin_on_one_cohort_is_rarely_promoted():
    ever = np.zeros(60, dtype=bool)
    for decisions in watched(np.random.default_rng(12), 60, 0.03, 8):
        ever |= np.array([decision is Decision.PROMOTE for decision in decisions])
    assert ever.sum() <= 4


def test_cohort_that_one_side_alone_has_is_named():
    """Labels that changed their case: the route cannot be told, and that is why."""
    arms = counts(easy=HEALTHY, Closure=((3000, 90), (0, 0)), closure=((0, 0), (1500, 45)))
    arms = {key: arm for key, arm in arms.items() if arm.n}
    evaluation = judge(arms)
    headline = evaluation.verdict.headline
    assert "one side alone has Closure (teacher), closure (student)" in headline
    assert "only student has it" in signal(evaluation, "closure").reason


def test_route_that_calls_no_tools_is_not_asked_for_them():
    arms = counts(easy=HEALTHY)
    for side, calls in (("teacher", 0.0), ("student", 0.0)):
        arms["easy", side, "tool_calls"] = Arm(4000, calls, calls)
    assert not [m for m in judge(arms).measured if m.signal.metric == "tool_calls"]


def test_student_that_no_longer_calls_its_tools_is_held_back():
    arms = counts(easy=HEALTHY)
    arms["easy", "teacher", "tool_calls"] = Arm(8000, 8000.0, 12_000.0)
    arms["easy", "student", "tool_calls"] = Arm(4000, 2000.0, 3000.0)
    evaluation = judge(arms)
    assert evaluation.verdict.decision is Decision.HOLD
    assert "tool_calls got worse" in evaluation.verdict.headline


def test_traces_without_a_cohort_are_not_the_whole_route():
    arms = counts(easy=HEALTHY)
    unlabelled = counts(none=((300, 9), (300, 150)))
    arms |= {("", *key[1:]): arm for key, arm in unlabelled.items()}
    assert "on traces without a cohort" in signal(judge(arms), "").reason


def test_weeks_of_the_baseline_alone_tell_its_rate_beforehand():
    """A score that a third fails: with the default prior HELD would take twice the traces."""
    together = rate_arm(6000, 1800), rate_arm(1200, 360)
    told = {}
    for alone in (rate_arm(3000, 900), rate_arm(100, 30)):
        arms = {("", "teacher", FAILS): alone + together[0], ("", "student", FAILS): together[1]}
        epochs = {
            ("", "teacher", FAILS): {0: alone, 1: together[0]},
            ("", "student", FAILS): {1: together[1]},
        }
        for (_, side, _), by_epoch in list(epochs.items()):
            base = {epoch: rate_arm(arm.n, 0) for epoch, arm in by_epoch.items()}
            epochs["", side, "error"] = base
            arms["", side, "error"] = rate_arm(sum(arm.n for arm in base.values()), 0)
        comparison = signal(judge(arms, epochs=epochs), None).signal.comparison
        told[alone.n] = comparison.evidence.log_e_held
    assert told[3000] > told[100] + 1
