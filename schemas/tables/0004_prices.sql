-- Effective-dated rates. A user's own row (origin = user) wins over the price book.
CREATE TABLE prices
(
    price_id                        String                   COMMENT 'identity: origin:provider/model:tier:valid_from',
    origin                          LowCardinality(String)   COMMENT 'user | book',
    provider                        LowCardinality(String)   COMMENT 'provider id of the price book',
    model                           String                   COMMENT 'model id of the price book',
    tier                            LowCardinality(String)   COMMENT 'default | batch | flex | priority',
    valid_from                      Date                     COMMENT 'first day of validity',
    valid_to                        Date                     COMMENT 'last day of validity',
    input_usd_per_token             Decimal(38, 24)          COMMENT 'USD a token in',
    output_usd_per_token            Decimal(38, 24)          COMMENT 'USD a token out',
    cache_read_usd_per_token        Decimal(38, 24)          COMMENT 'USD a token read from cache',
    cache_write_usd_per_token       Decimal(38, 24)          COMMENT 'USD a token written to cache',
    long_context_after              UInt32                   COMMENT 'input tokens above which the long_* rates apply to the whole call; 0 never',
    long_input_usd_per_token        Decimal(38, 24)          COMMENT 'USD a token in, long context',
    long_output_usd_per_token       Decimal(38, 24)          COMMENT 'USD a token out, long context',
    long_cache_read_usd_per_token   Decimal(38, 24)          COMMENT 'USD a token read from cache, long context',
    long_cache_write_usd_per_token  Decimal(38, 24)          COMMENT 'USD a token written to cache, long context',
    updated_at                      DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when this row was written, UTC'
)
ENGINE = ReplacingMergeTree(updated_at)
ORDER BY (provider, model, tier, valid_from, origin)
COMMENT 'Rates in USD a token, effective-dated.';
