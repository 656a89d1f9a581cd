-- What was just said is merged within minutes and compressed again then: a new part is written with
-- the engine's default codec, LZ4, which takes half the CPU; whatever a merge writes, and what none has
-- touched for four hours, is ZSTD.
ALTER TABLE messages
    MODIFY COLUMN system_instructions CODEC(Default),
    MODIFY COLUMN input_messages CODEC(Default),
    MODIFY COLUMN output_messages CODEC(Default),
    MODIFY COLUMN tool_definitions CODEC(Default),
    MODIFY COLUMN tool_arguments CODEC(Default),
    MODIFY COLUMN tool_result CODEC(Default);

ALTER TABLE messages
    MODIFY TTL toDateTime(started_at) + INTERVAL 30 DAY,
        toDateTime(started_at) + INTERVAL 1 SECOND RECOMPRESS CODEC(ZSTD(1))
    SETTINGS materialize_ttl_after_modify = 0;
