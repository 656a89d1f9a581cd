-- The spans of the touched traces, narrow: what decides which call is paid where it is told twice.
-- A span that names itself as its parent is a root.
INSERT INTO rollup_nodes (
    rolled_up_at, trace_id, span_id, node, parent, started_at, duration_ns, strength, is_rollup,
    response, library, is_fetch, input_tokens, output_tokens, ingested_at)
SELECT
    fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AS rolled_up_at,
    trace_id, span_id,
    cityHash64(trace_id, span_id) AS node,
    if(parent_span_id IN ('', span_id), 0, cityHash64(trace_id, parent_span_id)) AS parent,
    started_at, duration_ns,
    multiIf(cost_status = '', 0, isNotNull(cost_usd), 3, 'unpriced' IN (cost_status, told_cost_status), 2, 1) AS strength,
    cost_status = 'rollup' AS is_rollup,
    if(cost_status = '' OR response_id = '', 0, cityHash64(response_id)) AS response,
    scope_name AS library,
    operation = 'retrieve_response' AS is_fetch,
    ifNull(s.input_tokens, 0) AS input_tokens,
    ifNull(s.output_tokens, 0) AS output_tokens,
    ingested_at
FROM spans AS s FINAL
WHERE trace_id IN
(
    SELECT trace_id
    FROM touched_traces
    WHERE ingested_at > fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC')
        AND ingested_at <= fromUnixTimestamp64Nano({until_ns:Int64}, 'UTC')
)
    AND trace_id NOT IN (SELECT trace_id FROM rollup_nodes WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC'))
