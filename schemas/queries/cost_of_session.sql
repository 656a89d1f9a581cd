-- What does a session cost, trace by trace?
-- Parameters:
--   session: session id (the conversation)
--   since = 90d: how far back, such as 24h, 7d; all for everything
-- Result: started_at (UTC), trace_id, route, variant, calls, input_tokens, output_tokens, cost_usd
-- (USD), so_far_usd (USD, this trace and those before it), unpriced_calls.
SELECT started_at, trace_id, route, variant, calls, input_tokens, output_tokens, cost_usd,
       sum(ifNull(cost_usd, 0)) OVER (ORDER BY started_at, trace_id ROWS UNBOUNDED PRECEDING) AS so_far_usd,
       unpriced_calls
FROM traces FINAL
WHERE session_id = {session:String} AND started_at >= toDateTime({since_s:UInt32}, 'UTC')
ORDER BY started_at, trace_id
