-- What the ingest statement looks up: attribute names, models, rates. Lives in the decoding engine.
CREATE DATABASE IF NOT EXISTS codec;

CREATE TABLE IF NOT EXISTS codec.convention_rows (key String, code UInt16)
ENGINE = Memory;

CREATE OR REPLACE DICTIONARY codec.conventions (key String, code UInt16 DEFAULT 0)
PRIMARY KEY key
SOURCE(CLICKHOUSE(DB 'codec' TABLE 'convention_rows'))
LAYOUT(COMPLEX_KEY_HASHED())
LIFETIME(0);

CREATE TABLE IF NOT EXISTS codec.model_rows (told_provider String, told_model String, provider String, model String)
ENGINE = Memory;

CREATE OR REPLACE DICTIONARY codec.models (told_provider String, told_model String, provider String DEFAULT '', model String DEFAULT '')
PRIMARY KEY told_provider, told_model
SOURCE(CLICKHOUSE(DB 'codec' TABLE 'model_rows'))
LAYOUT(COMPLEX_KEY_HASHED())
LIFETIME(0);

CREATE TABLE IF NOT EXISTS codec.rate_rows
(
    provider String, model String, tier String, valid_from Date, valid_to Date, price_id String,
    long_context_after UInt32,
    input Decimal(38, 24), output Decimal(38, 24), cache_read Decimal(38, 24), cache_write Decimal(38, 24),
    long_input Decimal(38, 24), long_output Decimal(38, 24), long_cache_read Decimal(38, 24), long_cache_write Decimal(38, 24)
)
ENGINE = Memory;

CREATE OR REPLACE DICTIONARY codec.rates
(
    provider String, model String, tier String, valid_from Date, valid_to Date, price_id String,
    long_context_after UInt32,
    input Decimal(38, 24), output Decimal(38, 24), cache_read Decimal(38, 24), cache_write Decimal(38, 24),
    long_input Decimal(38, 24), long_output Decimal(38, 24), long_cache_read Decimal(38, 24), long_cache_write Decimal(38, 24)
)
PRIMARY KEY provider, model, tier
SOURCE(CLICKHOUSE(DB 'codec' TABLE 'rate_rows'))
LAYOUT(COMPLEX_KEY_RANGE_HASHED())
RANGE(MIN valid_from MAX valid_to)
LIFETIME(0);
