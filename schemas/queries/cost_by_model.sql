-- What does each model cost?
-- Parameters:
--   since = 7d: how far back, such as 90m, 24h, 7d; all for everything
-- Result: provider, model, calls, input_tokens, output_tokens, cost_usd (USD, mirrored calls left out),
-- shadow_cost_usd (USD of those), usd_per_million_tokens (USD, in and out together), unpriced_calls.
SELECT provider, if(response_model = '', request_model, response_model) AS model, count() AS calls,
       sum(ifNull(s.input_tokens, 0)) AS input_tokens, sum(ifNull(s.output_tokens, 0)) AS output_tokens,
       sumIf(ifNull(s.cost_usd, 0), NOT shadow) AS cost_usd, sumIf(ifNull(s.cost_usd, 0), shadow) AS shadow_cost_usd,
       round(toFloat64(cost_usd + shadow_cost_usd) / nullIf(sumIf(ifNull(s.input_tokens, 0) + ifNull(s.output_tokens, 0), isNotNull(s.cost_usd)), 0) * 1e6, 6) AS usd_per_million_tokens,
       countIf(cost_status = 'unpriced') AS unpriced_calls
FROM spans AS s FINAL
WHERE started_at >= toDateTime({since_s:UInt32}, 'UTC') AND cost_status NOT IN ('', 'rollup')
GROUP BY provider, model
ORDER BY cost_usd DESC, provider, model
