-- What the roll-up works out about calls that are told twice, and what it needs to read little.
ALTER TABLE spans
    ADD COLUMN IF NOT EXISTS http_route LowCardinality(String) MATERIALIZED attributes['http.route'] COMMENT 'attribute http.route, kept apart so that the roll-up need not read all attributes',
    ADD COLUMN IF NOT EXISTS is_refusal Bool MATERIALIZED attributes['llm.refusal'] NOT IN ('', 'false') COMMENT 'attribute llm.refusal tells a refusal',
    ADD COLUMN IF NOT EXISTS told_cost_status LowCardinality(String) COMMENT 'cost_status of a rollup before it became one; else empty' AFTER cost_status,
    ADD COLUMN IF NOT EXISTS route_source LowCardinality(String) COMMENT 'attribute that told the route; NAME.MEMBER inside JSON, resource/NAME on the resource' AFTER route,
    COMMENT COLUMN cost_status 'reported | computed | estimated | unpriced | no_usage; rollup where another span tells the same call and pays for it (its cost_usd stays, do not add it); empty on spans that are no call';

CREATE TABLE told_answers
(
    response      UInt64                 COMMENT 'cityHash64 of the response id',
    trace_id      String                 COMMENT 'trace, 32 lowercase hex digits' CODEC(ZSTD(1)),
    span_id       String                 COMMENT 'call that told the answer, 16 lowercase hex digits' CODEC(ZSTD(1)),
    started_at    DateTime64(9, 'UTC')   COMMENT 'start of the call, UTC' CODEC(Delta, ZSTD(1)),
    duration_ns   UInt64                 COMMENT 'its duration, nanoseconds' CODEC(ZSTD(1)),
    library       LowCardinality(String) COMMENT 'instrumentation library that told it',
    is_fetch      Bool                   COMMENT 'fetched a stored answer',
    has_parent    Bool                   COMMENT 'stands below another span',
    strength      UInt8                  COMMENT '3 with a price, 2 with tokens alone, 1 without',
    input_tokens  UInt32                 COMMENT 'tokens in',
    output_tokens UInt32                 COMMENT 'tokens out',
    ingested_at   DateTime64(9, 'UTC')   COMMENT 'version of the span, UTC' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(ingested_at)
ORDER BY (response, trace_id, span_id)
TTL toDateTime(started_at) + INTERVAL 400 DAY
SETTINGS index_granularity = 64
COMMENT 'Which calls told an answer: finds the same call in two traces. Written by the roll-up.';

CREATE TABLE rollup_nodes
(
    rolled_up_at  DateTime64(9, 'UTC')   COMMENT 'step of the roll-up, UTC' CODEC(Delta, ZSTD(1)),
    trace_id      String                 COMMENT 'trace' CODEC(ZSTD(1)),
    span_id       String                 COMMENT 'span' CODEC(ZSTD(1)),
    node          UInt64                 COMMENT 'cityHash64(trace_id, span_id)',
    parent        UInt64                 COMMENT 'the same of its parent; 0 on a root',
    started_at    DateTime64(9, 'UTC')   COMMENT 'start, UTC' CODEC(Delta, ZSTD(1)),
    duration_ns   UInt64                 COMMENT 'duration, nanoseconds' CODEC(ZSTD(1)),
    strength      UInt8                  COMMENT '3 a call with a price, 2 with tokens alone, 1 without; 0 no call',
    is_rollup     Bool                   COMMENT 'its cost_status is rollup',
    response      UInt64                 COMMENT 'cityHash64 of a call''s response id; 0 without one',
    library       LowCardinality(String) COMMENT 'instrumentation library',
    is_fetch      Bool                   COMMENT 'fetched a stored answer',
    input_tokens  UInt32                 COMMENT 'tokens in',
    output_tokens UInt32                 COMMENT 'tokens out',
    ingested_at   DateTime64(9, 'UTC')   COMMENT 'version of the span, UTC' CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (rolled_up_at, trace_id, node)
TTL toDateTime(rolled_up_at) + INTERVAL 1 HOUR
SETTINGS merge_with_ttl_timeout = 600
COMMENT 'The spans of the traces that a step of the roll-up recomputes; of no use after it.';

CREATE TABLE rollup_paths
(
    rolled_up_at DateTime64(9, 'UTC') COMMENT 'step of the roll-up, UTC' CODEC(Delta, ZSTD(1)),
    node         UInt64               COMMENT 'call',
    strength     UInt8                COMMENT 'its strength',
    level        UInt8                COMMENT 'strength looked for above it',
    above        UInt64               COMMENT 'nearest call above it that is at least so strong'
)
ENGINE = MergeTree
ORDER BY (rolled_up_at, node)
TTL toDateTime(rolled_up_at) + INTERVAL 1 HOUR
SETTINGS merge_with_ttl_timeout = 600
COMMENT 'Calls that stand below other calls, in a step of the roll-up; of no use after it.';

CREATE TABLE rollup_roles
(
    rolled_up_at DateTime64(9, 'UTC') COMMENT 'step of the roll-up, UTC' CODEC(Delta, ZSTD(1)),
    trace_id     String               COMMENT 'trace' CODEC(ZSTD(1)),
    span_id      String               COMMENT 'call' CODEC(ZSTD(1)),
    is_paid      Bool                 COMMENT 'the call counts here; false where another span tells it and pays',
    gap_sign     Int8                 COMMENT '1: its cost is claimed around calls inside it; -1: it is such a call; 0 neither'
)
ENGINE = MergeTree
ORDER BY (rolled_up_at, trace_id, span_id)
TTL toDateTime(rolled_up_at) + INTERVAL 1 HOUR
SETTINGS merge_with_ttl_timeout = 600
COMMENT 'Calls told twice, in a step of the roll-up; of no use after it.';
