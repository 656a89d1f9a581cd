-- What happened in a trace, and what did each call cost?
-- Parameters:
--   trace: trace id, 32 hex digits
-- Result: after_ms (start since the trace's), duration_ms, span_id, parent_span_id, name, operation,
-- model, tool_name, status, input_tokens, output_tokens, cost_usd (USD), cost_status (rollup: told
-- again by another span, which pays; do not add it).
SELECT
    (toUnixTimestamp64Nano(started_at) - min(toUnixTimestamp64Nano(started_at)) OVER ()) / 1e6 AS after_ms,
    duration_ns / 1e6 AS duration_ms, span_id, parent_span_id, name, operation,
    if(response_model = '', request_model, response_model) AS model, tool_name, status,
    input_tokens, output_tokens, cost_usd, cost_status
FROM spans FINAL
WHERE trace_id = lower({trace:String})
    AND toDate(started_at) IN (SELECT day FROM trace_days WHERE trace_id = lower({trace:String}))
ORDER BY started_at, span_id
