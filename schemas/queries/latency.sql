-- How long do traces take, and how long until the first token?
-- Parameters:
--   since = 7d: how far back, such as 24h, 7d, taken to the hour; all for everything
--   route = : one route, empty for all
-- Result: route, variant, traces, p50_ms, p95_ms, p99_ms (duration of a trace, ms), ttft_p50_ms,
-- ttft_p95_ms, ttft_p99_ms (time to first token, ms; NULL where nothing was streamed); within 1 %.
SELECT
    route, variant, sum(s.traces) AS traces,
    (quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(latency_sketch) AS took)[1] AS p50_ms, took[2] AS p95_ms, took[3] AS p99_ms,
    -- the sketch of nothing tells 0 or no number
    if(isNaN((quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(ttft_sketch) AS first)[1]) OR first[1] = 0, NULL, first[1]) AS ttft_p50_ms,
    if(isNaN(first[2]) OR first[2] = 0, NULL, first[2]) AS ttft_p95_ms,
    if(isNaN(first[3]) OR first[3] = 0, NULL, first[3]) AS ttft_p99_ms
FROM route_stats AS s FINAL
WHERE bucket >= toStartOfHour(toDateTime({since_s:UInt32}, 'UTC')) AND s.traces > 0
    AND ({route:String} = '' OR route = {route:String})
GROUP BY route, variant
ORDER BY route, variant
