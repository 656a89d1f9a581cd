-- What was said: kept apart from spans, with its own, shorter retention.
CREATE TABLE messages
(
    trace_id            String               COMMENT 'trace, 32 lowercase hex digits' CODEC(ZSTD(1)),
    span_id             String               COMMENT 'span, 16 lowercase hex digits' CODEC(ZSTD(1)),
    started_at          DateTime64(9, 'UTC') COMMENT 'start of the span, UTC' CODEC(Delta, ZSTD(1)),
    system_instructions String               COMMENT 'system prompt, JSON or text as sent' CODEC(ZSTD(1)),
    input_messages      String               COMMENT 'input messages, JSON' CODEC(ZSTD(1)),
    output_messages     String               COMMENT 'output messages, JSON' CODEC(ZSTD(1)),
    tool_definitions    String               COMMENT 'tools offered to the model, JSON' CODEC(ZSTD(1)),
    tool_arguments      String               COMMENT 'arguments of a tool span, JSON' CODEC(ZSTD(1)),
    tool_result         String               COMMENT 'result of a tool span' CODEC(ZSTD(1)),
    ingested_at         DateTime64(9, 'UTC') COMMENT 'when the processor committed it, UTC' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(ingested_at)
PARTITION BY toDate(started_at)
ORDER BY (trace_id, span_id)
TTL toDateTime(started_at) + INTERVAL 30 DAY
COMMENT 'Inputs, outputs, tool arguments and results of a span.';
