-- What tollway reprice changes and how far it has come; what users say their models are.
ALTER TABLE spans
    ADD COLUMN IF NOT EXISTS told_cost_status LowCardinality(String) COMMENT 'cost_status of a rollup before it became one; else empty' AFTER cost_status;

CREATE TABLE repriced
(
    run          String                    COMMENT 'tollway reprice with the same options and prices',
    day          Date                      COMMENT 'UTC day of the span',
    trace_id     String                    COMMENT 'trace' CODEC(ZSTD(1)),
    span_id      String                    COMMENT 'span' CODEC(ZSTD(1)),
    model        LowCardinality(String)    COMMENT 'model that answered, else the one asked for',
    old_cost_usd Nullable(Decimal(38, 24)) COMMENT 'cost before, USD',
    new_cost_usd Nullable(Decimal(38, 24)) COMMENT 'cost since, USD',
    new_status   LowCardinality(String)    COMMENT 'cost_status since',
    new_told_status LowCardinality(String) COMMENT 'cost_status that a rollup would have otherwise; else empty',
    new_price_id String                    COMMENT 'row of prices since' CODEC(ZSTD(1)),
    new_priced_as LowCardinality(String)   COMMENT 'provider/model priced as since',
    repriced_at  DateTime DEFAULT now()    COMMENT 'when, UTC'
)
ENGINE = ReplacingMergeTree(repriced_at)
ORDER BY (run, day, trace_id, span_id)
TTL repriced_at + INTERVAL 30 DAY
COMMENT 'Spans whose cost tollway reprice has changed.';

CREATE TABLE reprice_days
(
    run     String                 COMMENT 'tollway reprice with the same options and prices',
    day     Date                   COMMENT 'a day that is done; 1970-01-01 when the run is',
    done_at DateTime DEFAULT now() COMMENT 'when, UTC'
)
ENGINE = MergeTree
ORDER BY (run, day)
TTL done_at + INTERVAL 30 DAY
COMMENT 'How far a run of tollway reprice has come: interrupted, it goes on from there.';

CREATE TABLE price_models
(
    told         String                  COMMENT 'model, or provider/model, as calls tell it; any case',
    model        String                  COMMENT 'what it is in the price book: provider/model or model',
    source       LowCardinality(String) DEFAULT 'sql' COMMENT 'where it is kept: toml or sql',
    is_withdrawn Bool                    COMMENT 'no longer holds',
    updated_at   DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when this row was written, UTC'
)
ENGINE = ReplacingMergeTree(updated_at)
ORDER BY told
COMMENT 'What your deployments and quantised models are in the price book.';
