-- The price of a call: select items that the ingest statement and the reprice share.
-- They read the columns of a span and reported_usd; they give cost_usd, cost_status, price_id and
-- priced_as. Rates are looked up by model (the one that answered, else the one asked for), tier, time
-- of the day, length of the prompt and day.
lower(provider) AS provider_key,
lower(if(response_model = '', request_model, response_model)) AS model_key,
lower(request_model) AS asked_key,
operation NOT IN ('invoke_agent', 'invoke_workflow', 'create_agent', 'chain', 'execute_tool', 'workflow', 'task') AS may_cost,
may_cost AND (input_tokens > 0 OR output_tokens > 0 OR notEmpty(usage)) AS has_usage,
operation IN ('chat', 'text_completion', 'generate_content', 'embeddings') AS is_call,
dictGet('codec.models', ('schedule', 'priced_as', 'tiers', 'seconds', 'lengths'), (provider_key, model_key)) AS by_answer,
if(by_answer.1 = 0 AND asked_key NOT IN ('', model_key),
   dictGet('codec.models', ('schedule', 'priced_as', 'tiers', 'seconds', 'lengths'), (provider_key, asked_key)),
   by_answer) AS resolved,
lower(service_tier) AS tier_key,
-- Counts that contradict each other are read as if the whole were not told to hold its parts.
greatest(ifNull(cache_write_tokens, 0), ifNull(cache_write_1h_tokens, 0)) AS written,
greatest(toInt64(ifNull(input_tokens, 0)), toInt64(ifNull(cache_read_tokens, 0)) + written,
         toInt64(ifNull(audio_input_tokens, 0))) AS all_input,
greatest(ifNull(output_tokens, 0), ifNull(audio_output_tokens, 0)) AS all_output,
dictGet('codec.rates',
        ('price_id', 'status', 'needs_usage', 'input', 'output', 'cache_read', 'cache_write', 'cache_write_1h', 'request',
         'second', 'least_seconds', 'reads_reasoning', 'units', 'unit_rates', 'unit_per'),
        (resolved.1,
         if(has(resolved.3, tier_key), tier_key, 'default'),
         toUInt16(if(empty(resolved.4), 0, 64 * arrayCount(s -> toUInt32(toUnixTimestamp(started_at) % 86400) >= s, resolved.4))
             + if(empty(resolved.5), 0, arrayCount(t -> all_input > t, resolved.5)))),
        toDate(started_at)) AS rates,
toDecimal128(all_input, 0) * rates.4 + toDecimal128(all_output, 0) * rates.5
    + toDecimal128(ifNull(cache_read_tokens, 0), 0) * rates.6 + toDecimal128(written, 0) * rates.7
    + toDecimal128(ifNull(cache_write_1h_tokens, 0), 0) * rates.8 + rates.9 AS tokens_usd,
-- What few calls have; seconds of audio are sold by the hour.
if(notEmpty(rates.13) AND (notEmpty(usage) OR audio_input_tokens > 0 OR audio_output_tokens > 0 OR (rates.12 AND reasoning_tokens > 0)),
   arraySum((unit, rate, per) ->
       toDecimal256(multiIf(
           unit = 'input_audio_tokens', toDecimal128(ifNull(audio_input_tokens, 0), 6),
           unit = 'output_audio_tokens', toDecimal128(ifNull(audio_output_tokens, 0), 6),
           unit = 'output_reasoning_tokens', toDecimal128(ifNull(reasoning_tokens, 0), 6),
           unit = 'audio_seconds', if(greatest(usage[unit], usage['input_audio_seconds'] + usage['output_audio_seconds']) > 0,
               greatest(toDecimal128(rates.11, 6), toDecimal128(usage[unit], 6), toDecimal128(usage['input_audio_seconds'] + usage['output_audio_seconds'], 6)), toDecimal128(0, 6)),
           unit = 'input_audio_seconds' AND rates.11 > 0, if(usage[unit] > 0 OR usage['audio_seconds'] > 0,
               greatest(toDecimal128(rates.11, 6), toDecimal128(usage[unit], 6), toDecimal128(usage['audio_seconds'], 6)), toDecimal128(0, 6)),
           toDecimal128(usage[unit], 6)), 6) * CAST(rate, 'Decimal(76, 30)') / per,
       rates.13, rates.14, rates.15),
   toDecimal256(0, 36)) AS units_usd,
if(rates.10 > 0, toDecimal256(ifNull(latency_ns, duration_ns), 0) * CAST(rates.10, 'Decimal(76, 36)') / 1000000000, toDecimal256(0, 36)) AS seconds_usd,
-- Repaired counts cannot make a negative cost either.
greatest(tokens_usd + toDecimal128(round(units_usd + seconds_usd, 24), 24), toDecimal128(0, 24)) AS computed_usd,
rates.1 != '' AND (has_usage OR (is_call AND rates.3 = 0)) AS has_price,
multiIf(reported_usd > 0, reported_usd, has_price, computed_usd, NULL) AS cost_usd,
-- Some user's row charges calls that told no usage: a name is then unpriced until it was looked at.
is_call AND dictGet('codec.models', 'schedule', ('*', '*')) != 0 AND NOT dictHas('codec.models', (provider_key, model_key)) AS is_new,
multiIf(reported_usd > 0, 'reported', has_price, rates.2, has_usage OR is_new, 'unpriced', is_call, 'no_usage', '') AS cost_status,
if(reported_usd > 0 OR NOT has_price, '', rates.1) AS price_id,
if(price_id = '', '', resolved.2) AS priced_as
