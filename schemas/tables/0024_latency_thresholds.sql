-- The baseline's quantiles that tails are counted beyond, frozen when the baseline first had enough
-- traces: a threshold that moved with the traffic would hide a baseline that gets slower.
-- The oldest row holds; delete it to freeze anew.
CREATE TABLE latency_thresholds
(
    route      LowCardinality(String) COMMENT 'product task',
    cohort     LowCardinality(String) COMMENT 'slice; * is the whole route',
    baseline   LowCardinality(String) COMMENT 'side whose quantile it is',
    metric     LowCardinality(String) COMMENT 'duration_above_p95, ttft_above_p99, …',
    bin        Int16                  COMMENT 'natural logarithm of the milliseconds times 50, rounded',
    traces     UInt64                 COMMENT 'traces of the baseline that it was told from',
    frozen_at  DateTime64(3, 'UTC')   COMMENT 'when, UTC'
)
ENGINE = MergeTree
ORDER BY (route, cohort, baseline, metric)
TTL toDateTime(frozen_at) + INTERVAL 400 DAY
COMMENT 'Latencies that the share of slower traces is counted beyond.';
