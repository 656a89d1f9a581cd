-- What does a trace cost, by route and variant?
-- Parameters:
--   since = 7d: how far back, such as 90m, 24h, 7d; all for everything
--   route = : one route, empty for all
-- Result: route, variant, traces, calls, cost_usd (USD), mean_cost_usd (USD a priced trace),
-- unpriced_calls (calls that cost_usd lacks).
SELECT route, variant, count() AS traces, sum(t.calls) AS calls, sum(t.cost_usd) AS cost_usd,
       sum(t.cost_usd) / nullIf(count(t.cost_usd), 0) AS mean_cost_usd, sum(t.unpriced_calls) AS unpriced_calls
FROM traces AS t FINAL
WHERE started_at >= toDateTime({since_s:UInt32}, 'UTC') AND ({route:String} = '' OR route = {route:String})
GROUP BY route, variant
ORDER BY route, mean_cost_usd DESC NULLS LAST, variant
