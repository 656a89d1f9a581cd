-- Reading by day: traces by the day they began, and on which days a trace has spans, so that a
-- step of the roll-up and a question about a week read that week.
CREATE TABLE trace_days
(
    trace_id String                                          COMMENT 'trace, 32 lowercase hex digits' CODEC(ZSTD(1)),
    day      Date                                            COMMENT 'a UTC day on which spans of it began',
    first_at SimpleAggregateFunction(min, DateTime64(9, 'UTC')) COMMENT 'the first commit that held such spans, UTC' CODEC(Delta, ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY (trace_id, day)
TTL day + INTERVAL 400 DAY
SETTINGS index_granularity = 128
COMMENT 'The days of a trace: which partitions of spans to read for it. Written by the roll-up.';

INSERT INTO trace_days
SELECT trace_id, toDate(started_at) AS day, min(ingested_at) AS first_at
FROM spans
GROUP BY trace_id, day
SETTINGS optimize_aggregation_in_order = 1, max_threads = 1, max_bytes_before_external_group_by = 100000000;

CREATE TABLE rollup_touched
(
    rolled_up_at DateTime64(9, 'UTC') COMMENT 'step of the roll-up, UTC' CODEC(Delta, ZSTD(1)),
    trace_id     String               COMMENT 'trace to recompute' CODEC(ZSTD(1)),
    day          Date                 COMMENT 'a day of its spans; 1970-01-01 where none is known',
    first_at     DateTime64(9, 'UTC') COMMENT 'no span of it was committed before, UTC' CODEC(Delta, ZSTD(1)),
    is_recent    Bool                 COMMENT 'it was first seen a few minutes ago, so that what was committed since holds all of it'
)
ENGINE = MergeTree
ORDER BY (rolled_up_at, is_recent, trace_id)
TTL toDateTime(rolled_up_at) + INTERVAL 1 HOUR
SETTINGS merge_with_ttl_timeout = 600
COMMENT 'The traces that a step of the roll-up recomputes; of no use after it.';

-- Each statement may run again after a crash anywhere in between.
DROP TABLE IF EXISTS traces_before_days;

CREATE TABLE traces_by_day
(
    trace_id          String                              COMMENT 'trace, 32 lowercase hex digits' CODEC(ZSTD(1)),
    project           LowCardinality(String)              COMMENT 'project of the token that sent it',
    route             LowCardinality(String)              COMMENT 'product task the trace serves',
    route_source      LowCardinality(String)              COMMENT 'where the route came from: the attribute that told it (see spans.route_source), http.route | root_name | none',
    cohort            LowCardinality(String)              COMMENT 'slice that must not be averaged away',
    variant           LowCardinality(String)              COMMENT 'side of a comparison; the response model of the largest call when none is told',
    service           LowCardinality(String)              COMMENT 'service of the root span',
    service_version   LowCardinality(String)              COMMENT 'release of the root span''s service',
    name              LowCardinality(String)              COMMENT 'name of the root span',
    session_id        String                              COMMENT 'conversation' CODEC(ZSTD(1)),
    user_id           String                              COMMENT 'end user' CODEC(ZSTD(1)),
    pair_id           String                              COMMENT 'same input answered by both variants' CODEC(ZSTD(1)),
    started_at        DateTime64(9, 'UTC')                COMMENT 'start of the earliest span, UTC' CODEC(Delta, ZSTD(1)),
    duration_ns       UInt64                              COMMENT 'latest end minus earliest start, nanoseconds' CODEC(ZSTD(1)),
    spans             UInt32                              COMMENT 'spans',
    calls             UInt32                              COMMENT 'model calls that are paid for (a call told twice counts once)',
    tool_calls        UInt32                              COMMENT 'tools run, else tool calls asked for',
    tool_errors       UInt32                              COMMENT 'tool spans that ended in an error',
    errors            UInt32                              COMMENT 'model calls that ended in an error',
    failed            Bool                                COMMENT 'the root span ended in an error',
    retries           UInt32                              COMMENT 'attempts beyond the first of all calls',
    fallbacks         UInt32                              COMMENT 'calls served by a fallback',
    truncated         UInt32                              COMMENT 'calls cut at the length limit',
    refused           UInt32                              COMMENT 'calls refused or stopped by a content filter',
    models            Array(LowCardinality(String))       COMMENT 'response models of its calls',
    input_tokens      UInt64                              COMMENT 'tokens in',
    output_tokens     UInt64                              COMMENT 'tokens out',
    cache_read_tokens UInt64                              COMMENT 'part of input_tokens read from cache',
    cache_write_tokens UInt64                             COMMENT 'part of input_tokens written to cache',
    reasoning_tokens  UInt64                              COMMENT 'part of output_tokens spent on reasoning',
    ttft_ns           Nullable(UInt64)                    COMMENT 'time to first token of the first streamed call, nanoseconds',
    cost_usd          Nullable(Decimal(38, 24))           COMMENT 'what the trace cost, USD: each call once; NULL when no call has a price',
    shadow_cost_usd   Decimal(38, 24)                     COMMENT 'cost of mirrored calls, USD: the experiment''s, not in cost_usd',
    unpriced_calls    UInt32                              COMMENT 'calls with tokens and no price: cost_usd lacks them',
    cost_gap_usd      Decimal(38, 24)                     COMMENT 'what spans around a call claimed beyond the calls inside them, USD; not in cost_usd',
    scores            Map(LowCardinality(String), Float64) COMMENT 'mean value by score name',
    score_fails       Map(LowCardinality(String), UInt8)  COMMENT '1 where any judgement of that name failed, else 0',
    outcomes          Map(LowCardinality(String), Float64) COMMENT 'largest value by outcome name',
    rolled_up_at      DateTime64(9, 'UTC')                COMMENT 'when this row was computed, UTC',
    is_deleted        UInt8                               COMMENT '1 on what is left of a trace in the day that it no longer begins on; FINAL leaves it out'
)
ENGINE = ReplacingMergeTree(rolled_up_at, is_deleted)
PARTITION BY toDate(started_at)
ORDER BY trace_id
TTL toDateTime(started_at) + INTERVAL 400 DAY
COMMENT 'One row a trace; read with FINAL (the default of Tollway''s SQL door).';

INSERT INTO traces_by_day (
    trace_id, project, route, route_source, cohort, variant, service, service_version, name,
    session_id, user_id, pair_id, started_at, duration_ns, spans, calls, tool_calls,
    tool_errors, errors, failed, retries, fallbacks, truncated, refused, models, input_tokens,
    output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, ttft_ns, cost_usd,
    shadow_cost_usd, unpriced_calls, cost_gap_usd, scores, score_fails, outcomes, rolled_up_at)
SELECT
    trace_id, project, route, route_source, cohort, variant, service, service_version, name,
    session_id, user_id, pair_id, started_at, duration_ns, spans, calls, tool_calls,
    tool_errors, errors, failed, retries, fallbacks, truncated, refused, models, input_tokens,
    output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, ttft_ns, cost_usd,
    shadow_cost_usd, unpriced_calls, cost_gap_usd, scores, score_fails, outcomes, rolled_up_at
FROM traces FINAL
SETTINGS max_partitions_per_insert_block = 0;

RENAME TABLE traces TO traces_before_days, traces_by_day TO traces;

DROP TABLE IF EXISTS traces_before_days;
