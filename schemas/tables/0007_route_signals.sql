-- One metric of one (route, cohort), candidate against baseline, as it stood at evaluated_at.
-- History is kept a state and day: a state reached is never lost, a busy route does not flood it.
CREATE TABLE route_signals
(
    evaluated_at   DateTime64(3, 'UTC')    COMMENT 'when it was evaluated, UTC',
    route          LowCardinality(String)  COMMENT 'product task',
    cohort         LowCardinality(String)  COMMENT 'slice; * is the whole route, its cohorts weighted alike for both sides',
    baseline       LowCardinality(String)  COMMENT 'variant compared against',
    candidate      LowCardinality(String)  COMMENT 'variant judged',
    metric         LowCardinality(String)  COMMENT 'what is compared; cheaper_but_worse is the alarm over the others',
    kind           LowCardinality(String)  COMMENT 'rate (share of traces) | mean | log_mean (ratio of geometric means) | alarm',
    state          LowCardinality(String)  COMMENT 'REGRESSED | HELD | IMPROVED | INSUFFICIENT | INCONCLUSIVE | CHEAPER_BUT_WORSE',
    unit           LowCardinality(String)  COMMENT 'unit of the values below',
    baseline_value Float64                 COMMENT 'estimate on the baseline',
    candidate_value Float64                COMMENT 'estimate on the candidate',
    harm           Float64                 COMMENT 'difference in the harmful direction: above 0 is worse',
    lower          Float64                 COMMENT 'always-valid lower bound of harm',
    upper          Float64                 COMMENT 'always-valid upper bound of harm',
    margin         Float64                 COMMENT 'harm that is allowed',
    baseline_n     UInt64                  COMMENT 'traces of the baseline',
    candidate_n    UInt64                  COMMENT 'traces of the candidate',
    baseline_clusters UInt64               COMMENT 'independent sessions of the baseline',
    candidate_clusters UInt64              COMMENT 'independent sessions of the candidate',
    e_regressed    Float64                 COMMENT 'natural logarithm of the e-value against no harm',
    e_held         Float64                 COMMENT 'natural logarithm of the e-value against harm of the margin or more',
    traces_needed  Nullable(UInt64)        COMMENT 'candidate traces still needed when INCONCLUSIVE; NULL unknown',
    guardrail      Bool                    COMMENT 'a release is blocked when it regresses',
    reason         String                  COMMENT 'the finding in plain words'
)
ENGINE = ReplacingMergeTree(evaluated_at)
ORDER BY (route, cohort, baseline, candidate, metric, toDate(evaluated_at), state)
TTL toDateTime(evaluated_at) + INTERVAL 400 DAY
COMMENT 'Comparisons of a candidate with its baseline; history: the newest evaluation of each state and day. latest_route_signals has the newest of all.';

CREATE VIEW latest_route_signals AS
SELECT *
FROM route_signals
ORDER BY evaluated_at DESC
LIMIT 1 BY route, cohort, baseline, candidate, metric
COMMENT 'The newest row of each signal.';

CREATE TABLE route_verdicts
(
    evaluated_at DateTime64(3, 'UTC')    COMMENT 'when it was evaluated, UTC',
    route        LowCardinality(String)  COMMENT 'product task',
    baseline     LowCardinality(String)  COMMENT 'variant compared against',
    candidate    LowCardinality(String)  COMMENT 'variant judged',
    verdict      LowCardinality(String)  COMMENT 'PROMOTE | HOLD | ROLLBACK',
    cheaper_but_worse Bool               COMMENT 'cost or latency is credibly better while a quality proxy is credibly worse in some cohort',
    observational Bool                   COMMENT 'the comparison was neither randomised nor mirrored, as far as is known',
    e_value      Float64                 COMMENT 'natural logarithm of the averaged e-value for ROLLBACK',
    reason       String                  COMMENT 'the decision and why, in plain words'
)
ENGINE = ReplacingMergeTree(evaluated_at)
ORDER BY (route, baseline, candidate, toDate(evaluated_at), verdict)
TTL toDateTime(evaluated_at) + INTERVAL 400 DAY
COMMENT 'What the gate said of a candidate; history: the newest of each verdict and day.';

CREATE VIEW latest_route_verdicts AS
SELECT *
FROM route_verdicts
ORDER BY evaluated_at DESC
LIMIT 1 BY route, baseline, candidate
COMMENT 'The newest verdict of each comparison.';
