-- The row of every touched trace, from its deduplicated spans and scores.
--
-- A call that is told twice (a framework's span around the client's) is paid once. A call's
-- strength is 3 with a price, 2 with tokens alone, 1 without. Of nested calls the inner one counts
-- where it is as strong as the outer; else the outer counts and the inner does not. Fetching the
-- answer of a background call pays for it and is no call of its own.
INSERT INTO traces (
    trace_id, project, route, route_source, cohort, variant, service, service_version, name,
    session_id, user_id, pair_id, started_at, duration_ns, spans, calls, tool_calls, tool_errors,
    errors, failed, retries, fallbacks, truncated, refused, models, input_tokens, output_tokens,
    cache_read_tokens, cache_write_tokens, reasoning_tokens, ttft_ns, cost_usd, shadow_cost_usd,
    unpriced_calls, cost_gap_usd, scores, score_fails, outcomes, rolled_up_at)
WITH touched AS
(
    SELECT DISTINCT trace_id
    FROM touched_traces
    WHERE ingested_at > fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC')
        AND ingested_at <= fromUnixTimestamp64Nano({until_ns:Int64}, 'UTC')
),
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
        FROM scores FINAL
        WHERE trace_id IN (touched)
        GROUP BY trace_id, name, kind
    )
    GROUP BY trace_id
)
SELECT
    trace_id,
    any_project AS project,
    multiIf(told_route != '', told_route, http_route != '', http_route, name) AS route,
    multiIf(told_route != '', 'route', http_route != '', 'http.route', name != '', 'root_name', 'none') AS route_source,
    cohort,
    if(told_variant != '', told_variant, s.response_model[largest]) AS variant,
    s.service[root] AS service,
    s.service_version[root] AS service_version,
    s.name[root] AS name,
    session_id, user_id, pair_id, started_at, duration_ns, toUInt32(length(s.id)) AS spans,
    toUInt32(arrayCount(i -> NOT s.is_retrieval[i], paid)) AS calls,
    toUInt32(if(tool_spans > 0, tool_spans, arraySum(arrayMap(i -> s.tool_call_count[i], paid)))) AS tool_calls,
    toUInt32(failed_tool_spans) AS tool_errors,
    toUInt32(countEqual(arrayMap(i -> s.has_error[i], paid), 1)) AS errors,
    s.has_error[root] = 1 AS failed,
    toUInt32(arraySum(arrayMap(i -> s.retries[i], paid))) AS retries,
    toUInt32(any_fallbacks) AS fallbacks,
    toUInt32(countEqual(arrayMap(i -> s.is_truncated[i], paid), 1)) AS truncated,
    toUInt32(countEqual(arrayMap(i -> s.is_refused[i], paid), 1)) AS refused,
    arraySort(arrayDistinct(arrayFilter(m -> m != '', arrayMap(i -> s.response_model[i], paid)))) AS models,
    arraySum(arrayMap(i -> toUInt64(s.input_tokens[i]), paid)) AS input_tokens,
    arraySum(arrayMap(i -> toUInt64(s.output_tokens[i]), paid)) AS output_tokens,
    arraySum(arrayMap(i -> toUInt64(s.cache_read_tokens[i]), paid)) AS cache_read_tokens,
    arraySum(arrayMap(i -> toUInt64(s.cache_write_tokens[i]), paid)) AS cache_write_tokens,
    arraySum(arrayMap(i -> toUInt64(s.reasoning_tokens[i]), paid)) AS reasoning_tokens,
    nullIf(arrayFirst(t -> t > 0, arrayMap(i -> s.ttft_ns[i], paid)), 0) AS ttft_ns,
    if(arrayExists(i -> s.strength[i] = 3 AND NOT s.shadow[i], paid),
       arraySum(arrayMap(i -> s.cost_usd[i], arrayFilter(i -> NOT s.shadow[i], paid))), NULL) AS cost_usd,
    arraySum(arrayMap(i -> s.cost_usd[i], arrayFilter(i -> s.shadow[i], paid))) AS shadow_cost_usd,
    toUInt32(arrayCount(i -> s.strength[i] = 2, paid)) AS unpriced_calls,
    arraySum(arrayMap(r -> s.cost_usd[r.1] - arraySum(arrayMap(c -> s.cost_usd[c.1], arrayFilter(c -> has(paid, c.1) AND has(c.2, r.1), chains))),
                      arrayFilter(r -> has(rolled, r.1) AND NOT hasAny(r.2, rolled), chains))) AS cost_gap_usd,
    judged.scores AS scores, judged.score_fails AS score_fails, judged.outcomes AS outcomes,
    fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AS rolled_up_at
FROM
(
    SELECT
        *,
        -- (call, its ancestors' positions) for each call
        arrayMap(i -> (i, arrayPopFront(arrayFold((chain, step) -> if(chain[-1] = 0, chain, arrayPushBack(chain, parent_at[chain[-1]])),
                                                  range(least(length(parent_at), 64)), [toUInt32(i)]))),
                 arrayFilter(i -> s.strength[i] > 0, arrayEnumerate(s.id))) AS chains,
        arrayMap(c -> c.1, arrayFilter(c -> arrayExists(d -> has(d.2, c.1) AND s.strength[d.1] >= s.strength[c.1], chains), chains)) AS rolled,
        arrayMap(c -> c.1, arrayFilter(c -> NOT has(rolled, c.1) AND NOT arrayExists(a -> a > 0 AND s.strength[a] > s.strength[c.1], c.2), chains)) AS paid,
        arrayFirst(i -> true, arrayReverseSort(i -> toUInt64(s.input_tokens[i]) + s.output_tokens[i], paid)) AS largest
    FROM
    (
        SELECT
            trace_id, any_project, told_route, cohort, told_variant, session_id, user_id, pair_id,
            started_at, duration_ns, tool_spans, failed_tool_spans, any_fallbacks,
            CAST(arraySort(x -> (x.1, x.2), told), 'Array(Tuple(
                started_at DateTime64(9, \'UTC\'), id String, parent String, name String, service String, service_version String,
                http_route String, has_error UInt8, strength UInt8, cost_usd Decimal(38, 24), shadow Bool,
                response_model String, input_tokens UInt32, output_tokens UInt32, cache_read_tokens UInt32,
                cache_write_tokens UInt32, reasoning_tokens UInt32, tool_call_count UInt16, retries UInt16,
                is_truncated UInt8, is_refused UInt8, ttft_ns UInt64, is_retrieval Bool))') AS s,
            arrayMap(p -> toUInt32(if(p = '', 0, indexOf(s.id, p))), s.parent) AS parent_at,
            if(indexOf(s.parent, '') > 0, indexOf(s.parent, ''), greatest(indexOf(parent_at, 0), 1)) AS root,
            s.http_route[root] AS http_route
        FROM
        (
            SELECT
                trace_id,
                max(spans.project) AS any_project,
                argMinIf(spans.route, spans.started_at, spans.route != '') AS told_route,
                argMinIf(spans.cohort, spans.started_at, spans.cohort != '') AS cohort,
                argMinIf(spans.variant, spans.started_at, spans.variant != '') AS told_variant,
                argMinIf(spans.session_id, spans.started_at, spans.session_id != '') AS session_id,
                argMinIf(spans.user_id, spans.started_at, spans.user_id != '') AS user_id,
                argMinIf(spans.pair_id, spans.started_at, spans.pair_id != '') AS pair_id,
                min(spans.started_at) AS started_at,
                toUInt64(max(toUnixTimestamp64Nano(spans.started_at) + toInt64(spans.duration_ns)) - toUnixTimestamp64Nano(started_at)) AS duration_ns,
                countIf(operation = 'execute_tool') AS tool_spans,
                countIf(operation = 'execute_tool' AND status = 'ERROR') AS failed_tool_spans,
                countIf(is_fallback) AS any_fallbacks,
                groupArray((
                    spans.started_at, span_id, parent_span_id, toString(name), toString(service), toString(service_version),
                    attributes['http.route'], toUInt8(status = 'ERROR'),
                    toUInt8(transform(toString(cost_status), ['reported', 'computed', 'estimated', 'unpriced', 'no_usage'], [3, 3, 3, 2, 1], 0)),
                    ifNull(cost_usd, 0), shadow, toString(if(response_model = '', request_model, response_model)),
                    ifNull(input_tokens, 0), ifNull(output_tokens, 0), ifNull(cache_read_tokens, 0),
                    ifNull(cache_write_tokens, 0), ifNull(reasoning_tokens, 0), tool_call_count, retries,
                    toUInt8(hasAny(finish_reasons, ['length', 'max_tokens', 'MAX_TOKENS', 'max_output_tokens'])),
                    toUInt8(hasAny(finish_reasons, ['content_filter', 'refusal', 'SAFETY']) OR attributes['llm.refusal'] NOT IN ('', 'false')),
                    ifNull(ttft_ns, 0), operation = 'retrieve_response')) AS told
            FROM spans FINAL
            WHERE trace_id IN (touched)
            GROUP BY trace_id
        )
    )
) AS told
LEFT JOIN judged ON judged.trace_id = told.trace_id
SETTINGS join_use_nulls = 0
