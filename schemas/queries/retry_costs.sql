-- What do retries, failed calls and fallbacks cost?
-- Parameters:
--   since = 7d: how far back, such as 90m, 24h, 7d; all for everything
--   route = : one route, empty for all
-- Result: route, traces, troubled_traces (with a retry, a failed call or a fallback), retries,
-- failed_calls, fallbacks, cost_usd (USD of all), troubled_cost_usd (USD of those), mean_usd (USD a
-- trace without trouble), troubled_mean_usd (USD a trace with it), extra_usd (USD: what the troubled
-- ones cost beyond as many others; NULL without any others).
SELECT
    route, count() AS traces, countIf(is_troubled) AS troubled_traces, sum(t.retries) AS retries,
    sum(t.errors) AS failed_calls, sum(t.fallbacks) AS fallbacks, sum(ifNull(t.cost_usd, 0)) AS cost_usd,
    sumIf(ifNull(t.cost_usd, 0), is_troubled) AS troubled_cost_usd,
    avgIf(toFloat64(t.cost_usd), NOT is_troubled) AS mean_usd,
    avgIf(toFloat64(t.cost_usd), is_troubled) AS troubled_mean_usd,
    if(isNull(mean_usd), NULL, toFloat64(troubled_cost_usd) - troubled_traces * mean_usd) AS extra_usd
FROM
(
    SELECT route, retries, errors, fallbacks, cost_usd, retries > 0 OR errors > 0 OR fallbacks > 0 AS is_troubled
    FROM traces FINAL
    WHERE started_at >= toDateTime({since_s:UInt32}, 'UTC') AND ({route:String} = '' OR route = {route:String})
) AS t
GROUP BY route
ORDER BY extra_usd DESC NULLS LAST, route
