-- What the roll-up reads to know what to recompute.
CREATE TABLE touched_traces
(
    ingested_at DateTime64(9, 'UTC') COMMENT 'commit that touched the trace, UTC' CODEC(Delta, ZSTD(1)),
    trace_id    String               COMMENT 'trace with a new span or score' CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY ingested_at
TTL toDateTime(ingested_at) + INTERVAL 7 DAY
COMMENT 'Traces to recompute, in the order of commits.';

CREATE TABLE touched_routes
(
    rolled_up_at DateTime64(9, 'UTC')    COMMENT 'roll-up that moved traces into or out of the key, UTC',
    bucket       DateTime('UTC')         COMMENT 'hour',
    route        LowCardinality(String)  COMMENT 'route',
    cohort       LowCardinality(String)  COMMENT 'cohort',
    variant      LowCardinality(String)  COMMENT 'variant'
)
ENGINE = MergeTree
ORDER BY rolled_up_at
TTL toDateTime(rolled_up_at) + INTERVAL 7 DAY
COMMENT 'Keys of route_stats to recompute.';

CREATE TABLE rollup_progress
(
    stage      LowCardinality(String) COMMENT 'traces | route_stats',
    watermark  DateTime64(9, 'UTC')   COMMENT 'everything up to here is recomputed, UTC',
    written_at DateTime64(9, 'UTC')   COMMENT 'when, UTC'
)
ENGINE = ReplacingMergeTree(written_at)
ORDER BY stage
COMMENT 'How far the roll-up has come.';
