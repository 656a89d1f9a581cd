-- What the ingest statement looks up: attribute names, models, rates. Lives in the decoding engine.
CREATE DATABASE IF NOT EXISTS codec;

CREATE TABLE IF NOT EXISTS codec.convention_rows (key String, code UInt16)
ENGINE = Memory;

CREATE OR REPLACE DICTIONARY codec.conventions (key String, code UInt16 DEFAULT 0)
PRIMARY KEY key
SOURCE(CLICKHOUSE(DB 'codec' TABLE 'convention_rows'))
LAYOUT(COMPLEX_KEY_HASHED())
LIFETIME(0);

-- A told name's schedule of rates, its tiers, and where another time of the day or length of the
-- prompt begins.
CREATE TABLE IF NOT EXISTS codec.model_rows
(
    told_provider String, told_model String, asked_model String,
    schedule UInt32, priced_as String, tiers Array(String), seconds Array(UInt32), lengths Array(UInt32)
)
ENGINE = Memory;

CREATE OR REPLACE DICTIONARY codec.models
(
    told_provider String, told_model String, asked_model String,
    schedule UInt32, priced_as String, tiers Array(String), seconds Array(UInt32), lengths Array(UInt32)
)
PRIMARY KEY told_provider, told_model, asked_model
SOURCE(CLICKHOUSE(DB 'codec' TABLE 'model_rows'))
LAYOUT(COMPLEX_KEY_HASHED())
LIFETIME(0);

-- A row of rates by schedule, tier, time of the day, length of the prompt (packed into a key, see
-- pricing/lookup.py) and day: what each unit's whole count is multiplied by, a part at its rate less
-- that of what it is part of. Each dictionary that a statement asks costs it some milliseconds to plan.
CREATE TABLE IF NOT EXISTS codec.rate_rows
(
    key UInt64, valid_from Date, valid_to Date, price_id String, status String, needs_usage UInt8,
    input Decimal(38, 24), output Decimal(38, 24), cache_read Decimal(38, 24), cache_write Decimal(38, 24),
    cache_write_1h Decimal(38, 24), request Decimal(38, 24), least Decimal(18, 6), extra UInt8,
    units Array(String), unit_rates Array(Decimal(38, 24)), unit_per Array(UInt32)
)
ENGINE = Memory;

CREATE OR REPLACE DICTIONARY codec.rates
(
    key UInt64, valid_from Date, valid_to Date, price_id String, status String, needs_usage UInt8,
    input Decimal(38, 24), output Decimal(38, 24), cache_read Decimal(38, 24), cache_write Decimal(38, 24),
    cache_write_1h Decimal(38, 24), request Decimal(38, 24), least Decimal(18, 6), extra UInt8,
    units Array(String), unit_rates Array(Decimal(38, 24)), unit_per Array(UInt32)
)
PRIMARY KEY key
SOURCE(CLICKHOUSE(DB 'codec' TABLE 'rate_rows'))
LAYOUT(RANGE_HASHED())
RANGE(MIN valid_from MAX valid_to)
LIFETIME(0);
