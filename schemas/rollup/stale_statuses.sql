-- How many calls of the step bear a status that their role has changed. Result: calls.
SELECT count() AS calls
FROM rollup_nodes
WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AND strength > 0
    AND is_rollup != ((trace_id, span_id) IN
    (
        SELECT trace_id, span_id
        FROM rollup_roles
        WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AND NOT is_paid
    ))
