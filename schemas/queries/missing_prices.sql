-- Which models have no price? Parameter: since_s (0 for all).
-- Columns: provider, model (that answered), request_model, calls, input_tokens, output_tokens,
-- first_seen and last_seen (UTC).
SELECT provider, response_model AS model, request_model, count() AS calls,
       sum(ifNull(spans.input_tokens, 0)) AS input_tokens, sum(ifNull(spans.output_tokens, 0)) AS output_tokens,
       min(started_at) AS first_seen, max(started_at) AS last_seen
FROM spans
WHERE cost_status = 'unpriced' AND started_at >= toDateTime({since_s:UInt32}, 'UTC')
GROUP BY provider, model, request_model
ORDER BY input_tokens + output_tokens DESC, calls DESC
