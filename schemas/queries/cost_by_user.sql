-- Which users cost most?
-- Parameters:
--   since = 7d: how far back, such as 90m, 24h, 7d; all for everything
--   route = : one route, empty for all
--   limit = 20: users shown
-- Result: user_id, traces, sessions, calls, input_tokens, output_tokens, cost_usd (USD),
-- mean_cost_usd (USD a priced trace).
SELECT user_id, count() AS traces, uniqExact(session_id) AS sessions, sum(t.calls) AS calls,
       sum(t.input_tokens) AS input_tokens, sum(t.output_tokens) AS output_tokens,
       sum(t.cost_usd) AS cost_usd, sum(t.cost_usd) / nullIf(count(t.cost_usd), 0) AS mean_cost_usd
FROM traces AS t FINAL
WHERE started_at >= toDateTime({since_s:UInt32}, 'UTC') AND user_id != ''
    AND ({route:String} = '' OR route = {route:String})
GROUP BY user_id
ORDER BY cost_usd DESC NULLS LAST, user_id
LIMIT {limit:UInt32}
