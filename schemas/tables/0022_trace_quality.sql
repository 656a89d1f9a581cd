-- What a trace tells of the quality of its answers and of its kind, for signals and built-in cohorts.
ALTER TABLE traces
    ADD COLUMN IF NOT EXISTS tool_timeouts UInt32 COMMENT 'tool spans that ended in a timeout',
    ADD COLUMN IF NOT EXISTS invalid_tool_arguments UInt32 COMMENT 'tool calls whose arguments are no JSON or were refused by the tool as invalid',
    ADD COLUMN IF NOT EXISTS empty_answers UInt32 COMMENT 'calls that ended well with no text, no refusal and no tool call',
    ADD COLUMN IF NOT EXISTS largest_input_tokens UInt32 COMMENT 'tokens in of the largest call',
    ADD COLUMN IF NOT EXISTS user_turns UInt32 COMMENT 'user messages in the longest input, 0 where content was not captured',
    ADD COLUMN IF NOT EXISTS non_latin_share Float32 COMMENT 'largest share of non-Latin characters in a last user message, 0 where content was not captured',
    ADD COLUMN IF NOT EXISTS prompt_version LowCardinality(String) COMMENT 'version of the prompt, as told on a span';

ALTER TABLE spans
    ADD COLUMN IF NOT EXISTS prompt_version LowCardinality(String)
        MATERIALIZED arrayFirst(v -> v != '', [attributes['tollway.prompt.version'], attributes['gen_ai.prompt.version'], attributes['langfuse.observation.prompt.version'], attributes['prompt.version']])
        COMMENT 'version of the prompt, kept apart so that the roll-up need not read all attributes';

CREATE TABLE span_traits
(
    trace_id               String               COMMENT 'trace, 32 lowercase hex digits' CODEC(ZSTD(1)),
    span_id                String               COMMENT 'span, 16 lowercase hex digits' CODEC(ZSTD(1)),
    started_at             DateTime64(9, 'UTC') COMMENT 'start of the span, UTC' CODEC(Delta, ZSTD(1)),
    user_turns             UInt16               COMMENT 'user messages in the input',
    non_latin_share        Float32              COMMENT 'share of non-Latin characters in the last user message (0 to 1)',
    invalid_tool_arguments UInt16               COMMENT 'tool calls whose arguments are no JSON',
    is_empty               Bool                 COMMENT 'the captured answer has no text, no refusal and no tool call',
    ingested_at            DateTime64(9, 'UTC') COMMENT 'when the processor committed it, UTC' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(ingested_at)
PARTITION BY toDate(started_at)
ORDER BY (trace_id, span_id)
TTL toDateTime(started_at) + INTERVAL 400 DAY
COMMENT 'What messages tell without being read again; one row a span that says more than nothing.';
