-- What do prompt caches save?
-- Parameters:
--   since = 7d: how far back, such as 90m, 24h, 7d; all for everything
-- Result: provider, model, calls, input_tokens, cache_read_tokens, cache_write_tokens, read_share (0 to
-- 1 of input_tokens), saved_usd (USD: what reads would have cost uncached, less what writes cost above
-- it), cost_usd (USD), unknown_calls (calls with cached tokens and no rates: saved_usd lacks them).
SELECT
    s.provider AS provider, if(response_model = '', request_model, response_model) AS model, count() AS calls,
    sum(ifNull(s.input_tokens, 0)) AS input_tokens, sum(ifNull(s.cache_read_tokens, 0)) AS cache_read_tokens,
    sum(ifNull(s.cache_write_tokens, 0)) AS cache_write_tokens,
    round(cache_read_tokens / nullIf(input_tokens, 0), 4) AS read_share,
    sum(toDecimal128(ifNull(s.cache_read_tokens, 0), 0) * (ifNull(p.input_usd_per_token, 0) - coalesce(p.cache_read_usd_per_token, p.input_usd_per_token, 0))
        - toDecimal128(ifNull(s.cache_write_tokens, 0), 0) * (coalesce(p.cache_write_usd_per_token, p.input_usd_per_token, 0) - ifNull(p.input_usd_per_token, 0))) AS saved_usd,
    sum(ifNull(s.cost_usd, 0)) AS cost_usd,
    countIf(p.price_id = '' AND (s.cache_read_tokens > 0 OR s.cache_write_tokens > 0)) AS unknown_calls
FROM
(
    SELECT provider, response_model, request_model, input_tokens, cache_read_tokens, cache_write_tokens, cost_usd, price_id
    FROM spans FINAL
    WHERE started_at >= toDateTime({since_s:UInt32}, 'UTC') AND cost_status NOT IN ('', 'rollup')
) AS s
LEFT ANY JOIN (SELECT price_id, input_usd_per_token, cache_read_usd_per_token, cache_write_usd_per_token FROM prices FINAL WHERE price_id != '') AS p
    ON p.price_id = s.price_id
GROUP BY provider, model
HAVING cache_read_tokens > 0 OR cache_write_tokens > 0
ORDER BY saved_usd DESC, provider, model
