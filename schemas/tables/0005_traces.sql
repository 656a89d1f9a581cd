-- One row a trace, recomputed from spans and scores whenever one of them arrives.
CREATE TABLE traces
(
    trace_id          String                              COMMENT 'trace, 32 lowercase hex digits' CODEC(ZSTD(1)),
    project           LowCardinality(String)              COMMENT 'project of the token that sent it',
    route             LowCardinality(String)              COMMENT 'product task the trace serves',
    route_source      LowCardinality(String)              COMMENT 'where the route came from: route | http.route | root_name | none',
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
    rolled_up_at      DateTime64(9, 'UTC')                COMMENT 'when this row was computed, UTC'
)
ENGINE = ReplacingMergeTree(rolled_up_at)
ORDER BY trace_id
TTL toDateTime(started_at) + INTERVAL 400 DAY
COMMENT 'One row a trace; read with FINAL (the default of Tollway''s SQL door).';

CREATE VIEW trace_costs AS
SELECT trace_id, route, cohort, variant, started_at, calls, cost_usd, unpriced_calls, cost_gap_usd
FROM traces FINAL
COMMENT 'The narrow view of traces: what each cost.';
