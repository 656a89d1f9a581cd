-- Messages that came as log events, each call's in pieces: put together in messages by their span.
CREATE TABLE message_events
(
    trace_id            String               COMMENT 'trace, 32 lowercase hex digits' CODEC(ZSTD(1)),
    span_id             String               COMMENT 'span of the call, 16 lowercase hex digits' CODEC(ZSTD(1)),
    told_at             DateTime64(9, 'UTC') COMMENT 'time of the event, UTC' CODEC(Delta, ZSTD(1)),
    input               String               COMMENT 'input messages, JSON objects with commas between' CODEC(ZSTD(1)),
    output              String               COMMENT 'output messages, JSON objects with commas between' CODEC(ZSTD(1)),
    system_instructions String               COMMENT 'system prompt, JSON' CODEC(ZSTD(1)),
    tool_definitions    String               COMMENT 'tools offered to the model, JSON' CODEC(ZSTD(1)),
    ingested_at         DateTime64(9, 'UTC') COMMENT 'when the processor committed it, UTC' CODEC(Delta, ZSTD(1)),
    INDEX by_ingested_at ingested_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ingested_at)
PARTITION BY toDate(told_at)
ORDER BY (trace_id, span_id, told_at, input, output)
TTL toDateTime(told_at) + INTERVAL 30 DAY
COMMENT 'Log events that hold messages of a call; read messages instead.';
