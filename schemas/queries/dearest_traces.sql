-- Which traces cost most?
-- Parameters: since_s (s since 1970, UTC), route (empty for all), limit.
-- Result: trace_id, route, cohort, variant, started_at (UTC), calls, input_tokens, output_tokens,
-- cost_usd (USD), unpriced_calls, cost_gap_usd (USD).
SELECT trace_id, route, cohort, variant, started_at, calls, input_tokens, output_tokens, cost_usd,
       unpriced_calls, cost_gap_usd
FROM traces FINAL
WHERE started_at >= toDateTime({since_s:UInt32}, 'UTC') AND ({route:String} = '' OR route = {route:String})
ORDER BY cost_usd DESC NULLS LAST, trace_id
LIMIT {limit:UInt32}
