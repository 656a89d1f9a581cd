-- What does each variant cost a trace, over all its routes?
-- Parameters:
--   since = 7d: how far back, such as 90m, 24h, 7d; all for everything
-- Result: variant, routes, traces, calls, cost_usd (USD), mean_cost_usd (USD a priced trace),
-- shadow_cost_usd (USD of mirrored calls, not in cost_usd), unpriced_calls (calls that cost_usd lacks).
SELECT variant, uniqExact(route) AS routes, count() AS traces, sum(t.calls) AS calls,
       sum(t.cost_usd) AS cost_usd, sum(t.cost_usd) / nullIf(count(t.cost_usd), 0) AS mean_cost_usd,
       sum(t.shadow_cost_usd) AS shadow_cost_usd, sum(t.unpriced_calls) AS unpriced_calls
FROM traces AS t FINAL
WHERE started_at >= toDateTime({since_s:UInt32}, 'UTC')
GROUP BY variant
ORDER BY cost_usd DESC NULLS LAST, variant
