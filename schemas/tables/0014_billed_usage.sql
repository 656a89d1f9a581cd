-- What a call is billed for beside its tokens in and out, and which model it was priced as.
ALTER TABLE spans
    ADD COLUMN IF NOT EXISTS cache_write_1h_tokens Nullable(UInt32) COMMENT 'part of cache_write_tokens kept for an hour' AFTER cache_write_tokens,
    ADD COLUMN IF NOT EXISTS usage Map(LowCardinality(String), Decimal(18, 6)) COMMENT 'what else is billed, by unit: input_image_tokens, web_searches, audio_seconds, …' CODEC(ZSTD(1)) AFTER audio_output_tokens,
    ADD COLUMN IF NOT EXISTS priced_as LowCardinality(String) COMMENT 'provider/model that the call was resolved to for its price, empty without one' AFTER price_id;
