-- What does a route cost a day?
-- Parameters:
--   since = 30d: how far back, such as 7d or 12w, taken to the hour; all for everything
--   route = : one route, empty for all
-- Result: day (UTC), route, traces, calls, cost_usd (USD), mean_cost_usd (USD a trace),
-- unpriced_calls (calls that cost_usd lacks).
SELECT toDate(bucket) AS day, route, sum(s.traces) AS traces, sum(s.calls) AS calls, sum(s.cost_usd) AS cost_usd,
       cost_usd / traces AS mean_cost_usd, sum(s.unpriced_calls) AS unpriced_calls
FROM route_stats AS s FINAL
WHERE bucket >= toStartOfHour(toDateTime({since_s:UInt32}, 'UTC')) AND s.traces > 0
    AND ({route:String} = '' OR route = {route:String})
GROUP BY day, route
ORDER BY day, route
