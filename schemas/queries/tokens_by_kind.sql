-- Where do the tokens go: fresh and cached input, output, reasoning?
-- Parameters:
--   since = 7d: how far back, such as 90m, 24h, 7d; all for everything
--   route = : one route, empty for all
-- Result: route, variant, traces, calls, fresh_input_tokens (neither read from a cache nor written to
-- one), cache_read_tokens, cache_write_tokens, answer_tokens (output without reasoning),
-- reasoning_tokens, tokens_a_trace (in and out).
SELECT
    route, variant, count() AS traces, sum(t.calls) AS calls,
    toInt64(sum(t.input_tokens)) - toInt64(sum(t.cache_read_tokens)) - toInt64(sum(t.cache_write_tokens)) AS fresh_input_tokens,
    sum(t.cache_read_tokens) AS cache_read_tokens, sum(t.cache_write_tokens) AS cache_write_tokens,
    toInt64(sum(t.output_tokens)) - toInt64(sum(t.reasoning_tokens)) AS answer_tokens,
    sum(t.reasoning_tokens) AS reasoning_tokens,
    round(sum(t.input_tokens + t.output_tokens) / traces, 1) AS tokens_a_trace
FROM traces AS t FINAL
WHERE started_at >= toDateTime({since_s:UInt32}, 'UTC') AND ({route:String} = '' OR route = {route:String})
GROUP BY route, variant
ORDER BY sum(t.input_tokens + t.output_tokens) DESC, route, variant
