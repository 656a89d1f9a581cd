-- The spans of the touched traces, narrow: what decides which call is paid where it is told twice.
-- A span that names itself as its parent is a root. Traces first seen a few minutes ago are read from
-- what was committed since; the others by their id, in the days that hold them (FINAL keeps the engine
-- from seeing that a day is one partition: hence _partition_id).
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
FROM
(
    SELECT trace_id, span_id, parent_span_id, started_at, duration_ns, cost_status, told_cost_status, cost_usd,
           response_id, scope_name, operation, input_tokens, output_tokens, ingested_at
    FROM spans FINAL
    WHERE trace_id IN (SELECT trace_id FROM rollup_touched WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AND is_recent)
        AND _partition_id IN (SELECT toString(toYYYYMMDD(day)) FROM rollup_touched WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AND is_recent)
        AND ingested_at >= (SELECT min(first_at) FROM rollup_touched WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AND is_recent)
    UNION ALL
    SELECT trace_id, span_id, parent_span_id, started_at, duration_ns, cost_status, told_cost_status, cost_usd,
           response_id, scope_name, operation, input_tokens, output_tokens, ingested_at
    FROM spans FINAL
    WHERE trace_id IN (SELECT trace_id FROM rollup_touched WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AND NOT is_recent)
        AND (_partition_id IN (SELECT toString(toYYYYMMDD(day)) FROM rollup_touched WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AND NOT is_recent)
             OR (SELECT countIf(day = toDate(0)) FROM rollup_touched WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC')) > 0)
) AS s
WHERE trace_id NOT IN (SELECT trace_id FROM rollup_nodes WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC'))
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 0
