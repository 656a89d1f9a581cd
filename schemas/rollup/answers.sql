-- Remember who told which answer, so that the same call is found again in another trace.
INSERT INTO told_answers (
    response, trace_id, span_id, started_at, duration_ns, library, is_fetch, has_parent, strength,
    input_tokens, output_tokens, ingested_at)
SELECT
    response, trace_id, span_id, started_at, duration_ns, library, is_fetch, parent != 0 AS has_parent, strength,
    input_tokens, output_tokens, ingested_at
FROM rollup_nodes
WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AND response != 0 AND strength > 0
