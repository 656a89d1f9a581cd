-- Prices by name pattern, tier, time of day and length of the prompt; all kinds of units; discounts
-- and the price of one's own GPUs. A row holds for prompts above above_input_tokens, up to the next.
ALTER TABLE prices
    ADD COLUMN IF NOT EXISTS match Enum8('exact' = 0, 'prefix' = 1, 'regex' = 2) COMMENT 'how model is meant: the whole name, its beginning, or a regular expression of the whole name' AFTER model,
    ADD COLUMN IF NOT EXISTS day_from_s UInt32 COMMENT 'second of the UTC day from which the row holds' AFTER valid_to,
    ADD COLUMN IF NOT EXISTS above_input_tokens UInt32 COMMENT 'the row holds for calls with more input tokens than this; the whole call is priced by it' AFTER day_from_s,
    MODIFY ORDER BY (provider, model, tier, valid_from, origin, match, day_from_s, above_input_tokens);

ALTER TABLE prices
    ADD COLUMN IF NOT EXISTS source LowCardinality(String) DEFAULT 'sql' COMMENT 'where the row is kept: book, toml, or sql' AFTER origin,
    ADD COLUMN IF NOT EXISTS day_until_s UInt32 DEFAULT 86400 COMMENT 'second of the UTC day up to which the row holds' AFTER day_from_s,
    ADD COLUMN IF NOT EXISTS cache_write_1h_usd_per_token Nullable(Decimal(38, 24)) COMMENT 'USD a token written to cache for an hour; NULL as other cache writes' AFTER cache_write_usd_per_token,
    ADD COLUMN IF NOT EXISTS request_usd Nullable(Decimal(38, 24)) COMMENT 'USD a call' AFTER cache_write_1h_usd_per_token,
    ADD COLUMN IF NOT EXISTS second_usd Nullable(Decimal(38, 24)) COMMENT 'USD a second that the call took' AFTER request_usd,
    ADD COLUMN IF NOT EXISTS unit_rates Map(String, Decimal(38, 24)) COMMENT 'USD a unit of the span''s usage (input_image_tokens, web_searches, …), an hour for *_hours' AFTER second_usd,
    ADD COLUMN IF NOT EXISTS least_seconds UInt32 COMMENT 'audio shorter than this is billed as this long' AFTER unit_rates,
    ADD COLUMN IF NOT EXISTS gpu_hour_usd Nullable(Decimal(38, 24)) COMMENT 'USD an hour of one GPU that serves the model' AFTER least_seconds,
    ADD COLUMN IF NOT EXISTS gpus Decimal(18, 6) DEFAULT 1 COMMENT 'GPUs that serve it together' AFTER gpu_hour_usd,
    ADD COLUMN IF NOT EXISTS tokens_per_s Nullable(Decimal(18, 6)) COMMENT 'tokens a second, in and out together, that they serve' AFTER gpus,
    ADD COLUMN IF NOT EXISTS input_tokens_per_s Nullable(Decimal(18, 6)) COMMENT 'tokens in a second while they only read' AFTER tokens_per_s,
    ADD COLUMN IF NOT EXISTS output_tokens_per_s Nullable(Decimal(18, 6)) COMMENT 'tokens out a second while they only write' AFTER input_tokens_per_s,
    ADD COLUMN IF NOT EXISTS discount_percent Nullable(Decimal(9, 6)) COMMENT 'percent off the price book''s row of the same call; the row has no rates then' AFTER output_tokens_per_s,
    ADD COLUMN IF NOT EXISTS is_free Bool COMMENT 'the model costs nothing: 0 is its price' AFTER discount_percent,
    ADD COLUMN IF NOT EXISTS is_withdrawn Bool COMMENT 'no longer holds, kept to replace the row that did' AFTER is_free;

ALTER TABLE prices
    DROP COLUMN IF EXISTS long_context_after,
    DROP COLUMN IF EXISTS long_input_usd_per_token,
    DROP COLUMN IF EXISTS long_output_usd_per_token,
    DROP COLUMN IF EXISTS long_cache_read_usd_per_token,
    DROP COLUMN IF EXISTS long_cache_write_usd_per_token;

ALTER TABLE prices
    MODIFY COLUMN price_id String DEFAULT concat(origin, ':', provider, '/', model, ':', tier, ':', toString(valid_from), if(above_input_tokens > 0, concat(':>', toString(above_input_tokens)), '')) COMMENT 'identity, kept on the spans that it priced',
    MODIFY COLUMN origin LowCardinality(String) DEFAULT 'user' COMMENT 'user | book',
    MODIFY COLUMN provider LowCardinality(String) COMMENT 'provider id of the price book; empty for any provider',
    MODIFY COLUMN tier LowCardinality(String) DEFAULT 'default' COMMENT 'default | batch | flex | priority | fast; default also prices tiers without a row of their own',
    MODIFY COLUMN valid_from Date DEFAULT toDate('1970-01-01') COMMENT 'first day of validity, UTC',
    MODIFY COLUMN valid_to Date DEFAULT toDate('2149-06-06') COMMENT 'last day of validity, UTC',
    MODIFY COLUMN input_usd_per_token Nullable(Decimal(38, 24)) COMMENT 'USD a token in; NULL not charged',
    MODIFY COLUMN output_usd_per_token Nullable(Decimal(38, 24)) COMMENT 'USD a token out; NULL not charged',
    MODIFY COLUMN cache_read_usd_per_token Nullable(Decimal(38, 24)) COMMENT 'USD a token read from cache; NULL as other tokens in',
    MODIFY COLUMN cache_write_usd_per_token Nullable(Decimal(38, 24)) COMMENT 'USD a token written to cache; NULL as other tokens in';

ALTER TABLE prices
    ADD CONSTRAINT IF NOT EXISTS a_user_rate_is_above_0_and_at_most_10_usd_a_token CHECK origin != 'user' OR is_free OR is_withdrawn OR (
        (isNull(input_usd_per_token) OR (input_usd_per_token > 0 AND input_usd_per_token <= 10))
        AND (isNull(output_usd_per_token) OR (output_usd_per_token > 0 AND output_usd_per_token <= 10))
        AND (isNull(cache_read_usd_per_token) OR (cache_read_usd_per_token > 0 AND cache_read_usd_per_token <= 10))
        AND (isNull(cache_write_usd_per_token) OR (cache_write_usd_per_token > 0 AND cache_write_usd_per_token <= 10))),
    ADD CONSTRAINT IF NOT EXISTS a_user_row_ends_after_it_begins CHECK valid_from <= valid_to AND day_from_s < day_until_s AND day_until_s <= 86400;

ALTER TABLE unpriced_models
    ADD COLUMN IF NOT EXISTS request_model String COMMENT 'model asked for, lowercase',
    MODIFY ORDER BY (provider, model, request_model);
