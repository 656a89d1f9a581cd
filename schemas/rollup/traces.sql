-- The row of every touched trace, from its deduplicated spans and scores.
--
-- A call that is told twice counts once (rollup_roles says where). Fetching the answer of a
-- background call pays for it and is no call of its own. The root is the earliest span without a
-- parent, else the earliest whose parent is unknown, else the earliest.
INSERT INTO traces (
    trace_id, project, route, route_source, cohort, variant, service, service_version, name,
    session_id, user_id, pair_id, started_at, duration_ns, spans, calls, tool_calls, tool_errors,
    errors, failed, retries, fallbacks, truncated, refused, models, input_tokens, output_tokens,
    cache_read_tokens, cache_write_tokens, reasoning_tokens, ttft_ns, cost_usd, shadow_cost_usd,
    unpriced_calls, cost_gap_usd, scores, score_fails, outcomes, rolled_up_at, tool_timeouts,
    invalid_tool_arguments, empty_answers, largest_input_tokens, user_turns, non_latin_share,
    prompt_version)
WITH
    touched AS
    (
        SELECT trace_id, day, first_at, is_recent
        FROM rollup_touched
        WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC')
    ),
    roles AS (SELECT * FROM rollup_roles WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC')),
    judged AS
    (
        SELECT
            trace_id,
            mapFromArrays(groupArrayIf(name, kind = 'score' AND isNotNull(mean_value)), groupArrayIf(ifNull(mean_value, 0), kind = 'score' AND isNotNull(mean_value))) AS scores,
            mapFromArrays(groupArrayIf(name, kind = 'score'), groupArrayIf(any_failed, kind = 'score')) AS score_fails,
            mapFromArrays(groupArrayIf(name, kind = 'outcome'), groupArrayIf(ifNull(largest, 1), kind = 'outcome')) AS outcomes
        FROM
        (
            SELECT trace_id, toString(name) AS name, kind, avg(value) AS mean_value, max(value) AS largest,
                   toUInt8(max(label = 'fail' OR (label NOT IN ('pass', 'fail') AND ifNull(value < 0.5, 0)))) AS any_failed
            FROM
            (
                SELECT trace_id, name, kind, value, label
                FROM scores FINAL
                WHERE trace_id IN (SELECT trace_id FROM touched)
                ORDER BY trace_id, span_id, name, source
            )
            GROUP BY trace_id, name, kind
            ORDER BY trace_id, name, kind
        )
        GROUP BY trace_id
    ),
    traits AS
    (
        SELECT trace_id, max(user_turns) AS most_turns, max(non_latin_share) AS largest_share,
               sum(invalid_tool_arguments) AS unparsed_arguments, countIf(is_empty) AS empty_outputs
        FROM span_traits FINAL
        WHERE trace_id IN (SELECT trace_id FROM touched) AND toDate(started_at) IN (SELECT day FROM touched)
        GROUP BY trace_id
    ),
    told AS
    (
        SELECT
            *,
            (started_at, span_id) AS place,
            multiIf(parent_span_id IN ('', span_id), 0,
                    cityHash64(trace_id, parent_span_id) NOT IN (SELECT node FROM rollup_nodes WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC')), 1,
                    2) AS root_rank,
            cost_status != '' AND (trace_id, span_id) NOT IN (SELECT trace_id, span_id FROM roles WHERE NOT is_paid) AS is_paid,
            ((trace_id, span_id) IN (SELECT trace_id, span_id FROM roles WHERE gap_sign = 1))
                - ((trace_id, span_id) IN (SELECT trace_id, span_id FROM roles WHERE gap_sign = -1)) AS gap_sign,
            if(response_model = '', request_model, response_model) AS model,
            toUInt64(ifNull(s.input_tokens, 0)) AS tokens_in,
            toUInt64(ifNull(s.output_tokens, 0)) AS tokens_out
        FROM
        (
            SELECT trace_id, span_id, parent_span_id, started_at, duration_ns, project, service, service_version, name, status,
                   operation, route, route_source, cohort, variant, request_model, response_model, session_id, user_id, pair_id,
                   shadow, finish_reasons, tool_call_count, ttft_ns, retries, is_fallback, http_route, is_refusal, prompt_version, error_type, status_message,
                   input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
                   cost_usd, cost_status, told_cost_status
            FROM spans FINAL
            WHERE trace_id IN (SELECT trace_id FROM touched WHERE is_recent)
                AND _partition_id IN (SELECT toString(toYYYYMMDD(day)) FROM touched WHERE is_recent)
                AND ingested_at >= (SELECT min(first_at) FROM touched WHERE is_recent)
            UNION ALL
            SELECT trace_id, span_id, parent_span_id, started_at, duration_ns, project, service, service_version, name, status,
                   operation, route, route_source, cohort, variant, request_model, response_model, session_id, user_id, pair_id,
                   shadow, finish_reasons, tool_call_count, ttft_ns, retries, is_fallback, http_route, is_refusal, prompt_version, error_type, status_message,
                   input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
                   cost_usd, cost_status, told_cost_status
            FROM spans FINAL
            WHERE trace_id IN (SELECT trace_id FROM touched WHERE NOT is_recent)
                AND (_partition_id IN (SELECT toString(toYYYYMMDD(day)) FROM touched WHERE NOT is_recent)
                     OR (SELECT countIf(day = toDate(0)) FROM touched) > 0)
        ) AS s
    )
SELECT
    t.trace_id AS trace_id, project,
    multiIf(told_route != '', told_route, root.3 != '', root.3, root.4) AS route,
    multiIf(told_route != '', if(told_source = '', 'route', told_source), root.3 != '', 'http.route', root.4 != '', 'root_name', 'none') AS route_source,
    cohort,
    if(told_variant != '', told_variant, largest_model) AS variant,
    root.1 AS service, root.2 AS service_version, root.4 AS name,
    session_id, user_id, pair_id, first_start AS started_at,
    toUInt64(last_end_ns - toUnixTimestamp64Nano(first_start)) AS duration_ns,
    spans, calls, if(tool_spans > 0, tool_spans, tools_asked) AS tool_calls, tool_errors, errors, root.5 AS failed,
    retries, fallbacks, truncated, refused, models, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
    reasoning_tokens, ttft_ns, cost_usd, ifNull(t.shadow_usd, 0) AS shadow_cost_usd, unpriced_calls, cost_gap_usd,
    judged.scores AS scores, judged.score_fails AS score_fails, judged.outcomes AS outcomes,
    fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AS rolled_up_at,
    toUInt32(timed_out_tool_spans) AS tool_timeouts,
    toUInt32(greatest(traits.unparsed_arguments, refused_tool_spans)) AS invalid_tool_arguments,
    toUInt32(greatest(traits.empty_outputs, answers_without_tokens)) AS empty_answers,
    toUInt32(most_input_tokens) AS largest_input_tokens,
    toUInt32(traits.most_turns) AS user_turns, traits.largest_share AS non_latin_share,
    told_prompt_version AS prompt_version
FROM
(
    SELECT
        trace_id,
        max(told.project) AS project,
        argMinIf(told.route, place, told.route != '') AS told_route,
        argMinIf(told.route_source, place, told.route != '') AS told_source,
        argMinIf(told.cohort, place, told.cohort != '') AS cohort,
        argMinIf(told.variant, place, told.variant != '') AS told_variant,
        argMinIf(told.session_id, place, told.session_id != '') AS session_id,
        argMinIf(told.user_id, place, told.user_id != '') AS user_id,
        argMinIf(told.pair_id, place, told.pair_id != '') AS pair_id,
        argMin((told.service, told.service_version, http_route, told.name, status = 'ERROR'), (root_rank, place)) AS root,
        argMaxIf(model, (tokens_in + tokens_out, -toUnixTimestamp64Nano(told.started_at), span_id), is_paid) AS largest_model,
        min(told.started_at) AS first_start,
        max(toUnixTimestamp64Nano(told.started_at) + toInt64(told.duration_ns)) AS last_end_ns,
        count() AS spans,
        countIf(is_paid AND operation != 'retrieve_response') AS calls,
        countIf(operation = 'execute_tool') AS tool_spans,
        sumIf(tool_call_count, is_paid) AS tools_asked,
        countIf(operation = 'execute_tool' AND status = 'ERROR') AS tool_errors,
        countIf(is_paid AND status = 'ERROR') AS errors,
        sumIf(told.retries, is_paid) AS retries,
        countIf(is_fallback) AS fallbacks,
        countIf(is_paid AND hasAny(finish_reasons, ['length', 'max_tokens', 'MAX_TOKENS', 'max_output_tokens'])) AS truncated,
        countIf(is_paid AND (hasAny(finish_reasons, ['content_filter', 'refusal', 'SAFETY']) OR is_refusal)) AS refused,
        arraySort(groupUniqArrayIf(model, is_paid AND model != '')) AS models,
        sumIf(tokens_in, is_paid) AS input_tokens,
        sumIf(tokens_out, is_paid) AS output_tokens,
        sumIf(ifNull(told.cache_read_tokens, 0), is_paid) AS cache_read_tokens,
        sumIf(ifNull(told.cache_write_tokens, 0), is_paid) AS cache_write_tokens,
        sumIf(ifNull(told.reasoning_tokens, 0), is_paid) AS reasoning_tokens,
        argMinOrNullIf(ifNull(told.ttft_ns, 0), place, is_paid AND ifNull(told.ttft_ns, 0) > 0) AS ttft_ns,
        sumOrNullIf(told.cost_usd, is_paid AND NOT shadow) AS cost_usd,
        sumOrNullIf(told.cost_usd, is_paid AND shadow) AS shadow_usd,
        countIf(is_paid AND isNull(told.cost_usd) AND 'unpriced' IN (cost_status, told_cost_status)) AS unpriced_calls,
        sum(ifNull(told.cost_usd, 0) * gap_sign) AS cost_gap_usd,
        countIf(operation = 'execute_tool' AND status = 'ERROR'
                AND match(concat(error_type, ' ', status_message), '(?i)time.?out|timed out|deadline')) AS timed_out_tool_spans,
        countIf(operation = 'execute_tool' AND status = 'ERROR'
                AND match(concat(error_type, ' ', status_message), '(?i)validation|json.?decode|schema|(invalid|missing|unexpected).{0,20}(argument|parameter|param|input)')) AS refused_tool_spans,
        countIf(is_paid AND cost_status != 'no_usage' AND operation IN ('chat', 'text_completion', 'generate_content')
                AND status != 'ERROR' AND told.output_tokens = 0 AND tool_call_count = 0) AS answers_without_tokens,
        maxIf(tokens_in, is_paid) AS most_input_tokens,
        argMinIf(prompt_version, place, prompt_version != '') AS told_prompt_version
    FROM told
    GROUP BY trace_id
) AS t
LEFT JOIN judged ON judged.trace_id = t.trace_id
LEFT JOIN (SELECT trace_id AS traits_of, most_turns, largest_share, unparsed_arguments, empty_outputs FROM traits) AS traits ON traits.traits_of = t.trace_id
SETTINGS join_use_nulls = 0, use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 0,
    max_partitions_per_insert_block = 0, compile_expressions = 0, compile_aggregate_expressions = 0
