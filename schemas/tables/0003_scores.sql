-- Evaluations and outcomes. Keyed (trace_id, span_id, name, source): the newest wins.
CREATE TABLE scores
(
    trace_id    String                              COMMENT 'trace scored, 32 lowercase hex digits' CODEC(ZSTD(1)),
    span_id     String                              COMMENT 'span scored, empty for the whole trace' CODEC(ZSTD(1)),
    name        LowCardinality(String)              COMMENT 'what was judged: json_valid, groundedness, escalation, …',
    source      LowCardinality(String)              COMMENT 'who judged: code, human, model, …',
    kind        Enum8('score' = 0, 'outcome' = 1)   COMMENT 'an evaluation, or what the user or the business did later',
    value       Nullable(Float64)                   COMMENT 'score value; for outcomes 1 happened, 0 did not; NULL when only a label was given',
    label       LowCardinality(String)              COMMENT 'pass or fail where there is a threshold, else free',
    explanation String                              COMMENT 'why' CODEC(ZSTD(1)),
    scored_at   DateTime64(9, 'UTC')                COMMENT 'when it was judged, UTC' CODEC(Delta, ZSTD(1)),
    ingested_at DateTime64(9, 'UTC')                COMMENT 'when the processor committed it, UTC' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(scored_at)
ORDER BY (trace_id, span_id, name, source)
TTL toDateTime(scored_at) + INTERVAL 400 DAY
COMMENT 'Evaluations and outcomes of traces and spans.';
