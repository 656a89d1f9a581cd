-- Second layer: cost_usd, cost_status, price_id and priced_as. What few calls have comes by unit, at
-- 30 digits, since seconds of audio are sold by the hour; extra tells whether a row has any such unit
-- (1), or one that many calls have (2: reasoning, or the time that the call took).
multiIf(
    is_reported, reported_usd,
    (rates.1 != '' AND (has_usage OR (is_call AND rates.3 = 0)) AS has_price),
    -- Repaired counts cannot make a negative cost either.
    greatest(
        toDecimal128(whole_input_tokens, 0) * rates.4 + toDecimal128(whole_output_tokens, 0) * rates.5
        + toDecimal128(ifNull(cache_read_tokens, 0), 0) * rates.6 + toDecimal128(written_tokens, 0) * rates.7
        + toDecimal128(ifNull(cache_write_1h_tokens, 0), 0) * rates.8 + rates.9
        + if(rates.11 > 0 AND (rates.11 > 1 OR notEmpty(usage) OR audio_input_tokens > 0 OR audio_output_tokens > 0),
             toDecimal128(round(arraySum(
                 (amount, rate, per) -> toDecimal256(if(amount > 0, greatest(amount, rates.10), amount), 6) * CAST(rate, 'Decimal(76, 30)') / per,
                 arrayMap(
                     unit -> multiIf(
                         unit = 'input_audio_tokens', toDecimal128(ifNull(audio_input_tokens, 0), 6),
                         unit = 'output_audio_tokens', toDecimal128(ifNull(audio_output_tokens, 0), 6),
                         unit = 'output_reasoning_tokens', toDecimal128(ifNull(reasoning_tokens, 0), 6),
                         unit = 'call_seconds', toDecimal128(ifNull(latency_ns, duration_ns), 6),
                         usage[unit]),
                     rates.12),
                 rates.13, rates.14), 24), 24),
             toDecimal128(0, 24)),
        toDecimal128(0, 24)),
    NULL) AS cost_usd,
multiIf(is_reported, 'reported', has_price, rates.2, has_usage, 'unpriced', is_call, 'no_usage', '') AS cost_status,
if(has_price AND NOT is_reported, rates.1, '') AS price_id,
if(price_id = '', '', resolved.2) AS priced_as
