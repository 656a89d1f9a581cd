-- The price of a call: select items that the ingest statement and the reprice share.
-- They read the columns of a span and reported_usd, has_usage, provider_key and model_key; they give
-- cost_usd, cost_status, price_id and priced_as.
dictGet('codec.models', ('provider', 'model'), (provider_key, model_key)) AS resolved,
dictGet('codec.rates',
        ('price_id', 'long_context_after',
         'input', 'output', 'cache_read', 'cache_write',
         'long_input', 'long_output', 'long_cache_read', 'long_cache_write'),
        (resolved.1, resolved.2, if(service_tier IN ('batch', 'flex', 'priority'), service_tier, 'default')),
        toDate(started_at)) AS rates,
rates.1 AS row_id,
rates.2 > 0 AND input_tokens > rates.2 AS is_long,
toDecimal128(ifNull(cache_read_tokens, 0), 0) AS cached,
toDecimal128(ifNull(cache_write_tokens, 0), 0) AS written,
toDecimal128(greatest(toInt64(ifNull(input_tokens, 0)) - toInt64(ifNull(cache_read_tokens, 0)) - toInt64(ifNull(cache_write_tokens, 0)), 0), 0) AS fresh,
toDecimal128(ifNull(output_tokens, 0), 0) AS told,
fresh * if(is_long, rates.7, rates.3) + told * if(is_long, rates.8, rates.4)
    + cached * if(is_long, rates.9, rates.5) + written * if(is_long, rates.10, rates.6) AS computed_usd,
multiIf(reported_usd > 0, reported_usd, not has_usage or row_id = '', NULL, computed_usd) AS cost_usd,
multiIf(reported_usd > 0, 'reported',
        has_usage and row_id != '', 'computed',
        has_usage, 'unpriced',
        operation IN ('chat', 'text_completion', 'generate_content', 'embeddings'), 'no_usage',
        '') AS cost_status,
if(cost_status = 'computed', row_id, '') AS price_id,
if(price_id = '', '', concat(resolved.1, '/', resolved.2)) AS priced_as
