-- Which models used tokens and have no price?
-- Parameters:
--   since = 30d: how far back, such as 90m, 24h, 7d; all for everything
-- Result: provider, model, calls, traces, input_tokens, output_tokens, first_at, last_at (UTC).
SELECT provider, if(response_model = '', request_model, response_model) AS model, count() AS calls,
       uniqExact(trace_id) AS traces, sum(ifNull(s.input_tokens, 0)) AS input_tokens,
       sum(ifNull(s.output_tokens, 0)) AS output_tokens, min(started_at) AS first_at, max(started_at) AS last_at
FROM spans AS s FINAL
WHERE cost_status = 'unpriced' AND started_at >= toDateTime({since_s:UInt32}, 'UTC')
GROUP BY provider, model
ORDER BY calls DESC, provider, model
