-- Sufficient statistics of every (hour, route, cohort, variant), recomputed from traces.
-- A key whose traces have all moved elsewhere keeps a row of zeros (traces = 0).
CREATE TABLE route_stats
(
    bucket          DateTime('UTC')              COMMENT 'start of the hour, UTC',
    route           LowCardinality(String)       COMMENT 'product task',
    cohort          LowCardinality(String)       COMMENT 'slice',
    variant         LowCardinality(String)       COMMENT 'side of a comparison',
    traces          UInt64                       COMMENT 'traces',
    sessions        UInt64                       COMMENT 'distinct sessions (else users, else traces)',
    calls           UInt64                       COMMENT 'model calls',
    tool_calls      UInt64                       COMMENT 'tool calls',
    errors          UInt64                       COMMENT 'traces that failed or held a failed model call',
    input_tokens    UInt64                       COMMENT 'tokens in',
    output_tokens   UInt64                       COMMENT 'tokens out',
    cost_usd        Decimal(38, 24)              COMMENT 'cost of all traces, USD',
    unpriced_calls  UInt64                       COMMENT 'calls without a price: cost_usd lacks them',
    latency_sketch  AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Float64) COMMENT 'sketch of trace durations, milliseconds; read with quantilesDDMerge(0.01, 0.5, 0.95, 0.99), right within 1 %',
    ttft_sketch     AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Float64) COMMENT 'sketch of times to first token, milliseconds; likewise',
    metrics         Nested
    (
        name                LowCardinality(String),
        n                   UInt64,
        total               Float64,
        total_sq            Float64,
        clusters            UInt64,
        cluster_total_sq    Float64,
        cluster_cross       Float64,
        cluster_size_sq     Float64
    )                                            COMMENT 'by metric: traces that have it, sum and sum of squares of its value a trace, and over clusters g (sessions): their number, Σ S_g², Σ S_g·n_g, Σ n_g²',
    computed_at     DateTime64(9, 'UTC')         COMMENT 'when this row was computed, UTC'
)
ENGINE = ReplacingMergeTree(computed_at)
PARTITION BY toYYYYMM(bucket)
ORDER BY (route, bucket, cohort, variant)
TTL bucket + INTERVAL 400 DAY
COMMENT 'Sufficient statistics a route, cohort, variant and hour; read with FINAL (the default of Tollway''s SQL door).';
