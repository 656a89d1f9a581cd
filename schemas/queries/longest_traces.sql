-- Which traces take longest?
-- Parameters:
--   since = 7d: how far back, such as 90m, 24h, 7d; all for everything
--   route = : one route, empty for all
--   limit = 20: traces shown
-- Result: trace_id, route, cohort, variant, started_at (UTC), duration_s (s), spans, calls, tool_calls,
-- retries, failed, cost_usd (USD).
SELECT trace_id, route, cohort, variant, started_at, duration_ns / 1e9 AS duration_s, spans, calls, tool_calls,
       retries, failed, cost_usd
FROM traces FINAL
WHERE started_at >= toDateTime({since_s:UInt32}, 'UTC') AND ({route:String} = '' OR route = {route:String})
ORDER BY duration_ns DESC, trace_id
LIMIT {limit:UInt32}
