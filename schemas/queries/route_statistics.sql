-- How does each route do, by cohort and variant?
-- Parameters:
--   since = 7d: how far back, such as 24h, 7d, taken to the hour; all for everything
--   route = : one route, empty for all
-- Result: route, cohort, variant, traces, sessions, calls, tool_calls, errors (traces with a failed
-- call), error_rate (0 to 1), mean_cost_usd (USD a trace), p50_ms, p95_ms, p99_ms (trace duration),
-- unpriced_calls.
SELECT route, cohort, variant, sum(s.traces) AS traces, sum(s.sessions) AS sessions, sum(s.calls) AS calls,
       sum(s.tool_calls) AS tool_calls, sum(s.errors) AS errors, errors / traces AS error_rate,
       sum(s.cost_usd) / traces AS mean_cost_usd,
       quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(latency_sketch) AS latency_ms,
       latency_ms[1] AS p50_ms, latency_ms[2] AS p95_ms, latency_ms[3] AS p99_ms,
       sum(s.unpriced_calls) AS unpriced_calls
FROM
(
    SELECT * FROM route_stats FINAL
    WHERE bucket >= toStartOfHour(toDateTime({since_s:UInt32}, 'UTC')) AND traces > 0
        AND ({route:String} = '' OR route = {route:String})
) AS s
GROUP BY route, cohort, variant
ORDER BY route, cohort, variant
