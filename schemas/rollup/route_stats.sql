-- The rows of route_stats whose traces have changed, from the deduplicated traces.
-- Clusters are sessions, else users, else single traces, cut at the hour: signals are read from
-- traces instead (arms.sql), where a session is one cluster over the whole window. An outcome that
-- some trace of the key has counts as 0 on the key's other traces; scores count only where given.
-- Sums are taken in decimals and quantiles from DDSketch: neither depends on the order of rows, so
-- that the same traces always give the same row.
INSERT INTO route_stats (
    bucket, route, cohort, variant, traces, sessions, calls, tool_calls, errors, input_tokens,
    output_tokens, cost_usd, unpriced_calls, latency_sketch, ttft_sketch, metrics.name, metrics.n,
    metrics.total, metrics.total_sq, metrics.clusters, metrics.cluster_total_sq,
    metrics.cluster_cross, metrics.cluster_size_sq, computed_at)
WITH touched AS
(
    SELECT DISTINCT bucket, route, cohort, variant
    FROM touched_routes
    WHERE rolled_up_at > fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC')
        AND rolled_up_at <= fromUnixTimestamp64Nano({until_ns:Int64}, 'UTC')
        AND bucket >= toDateTime({first_s:UInt32}, 'UTC') AND bucket < toDateTime({last_s:UInt32}, 'UTC')
),
of_key AS
(
    SELECT
        *,
        toStartOfHour(started_at) AS bucket,
        multiIf(session_id != '', session_id, user_id != '', user_id, trace_id) AS cluster,
        groupUniqArrayArray(mapKeys(outcomes)) OVER (PARTITION BY toStartOfHour(started_at), route, cohort, variant) AS outcome_names
    FROM traces FINAL
    WHERE _partition_id IN (SELECT toString(toYYYYMMDD(bucket)) FROM touched)
        AND (toStartOfHour(started_at), route, cohort, variant) IN (touched)
),
plain AS
(
    SELECT
        bucket, route, cohort, variant, count() AS traces, uniqExact(cluster) AS sessions,
        sum(calls) AS calls, sum(tool_calls) AS tool_calls, countIf(failed OR errors > 0) AS errors,
        sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
        sum(ifNull(of_key.cost_usd, 0)) AS cost_usd, sum(unpriced_calls) AS unpriced_calls,
        quantilesDDState(0.01, 0.5, 0.95, 0.99)(duration_ns / 1e6) AS latency_sketch,
        quantilesDDStateIf(0.01, 0.5, 0.95, 0.99)(ifNull(ttft_ns, 0) / 1e6, isNotNull(ttft_ns)) AS ttft_sketch
    FROM of_key
    GROUP BY bucket, route, cohort, variant
),
measured AS
(
    SELECT
        bucket, route, cohort, variant,
        groupArray(metric) AS names, groupArray(n) AS ns, groupArray(total) AS totals, groupArray(total_sq) AS totals_sq,
        groupArray(clusters) AS clusters, groupArray(cluster_total_sq) AS cluster_totals_sq,
        groupArray(cluster_cross) AS cluster_crosses, groupArray(cluster_size_sq) AS cluster_sizes_sq
    FROM
    (
        SELECT
            bucket, route, cohort, variant, metric, sum(n_g) AS n, toFloat64(sum(s_g)) AS total, toFloat64(sum(sq_g)) AS total_sq,
            count() AS clusters, toFloat64(sum(toDecimal256(toFloat64(s_g) * toFloat64(s_g), 30))) AS cluster_total_sq,
            toFloat64(sum(toDecimal256(toFloat64(s_g) * n_g, 30))) AS cluster_cross, sum(n_g * n_g) AS cluster_size_sq
        FROM
        (
            SELECT bucket, route, cohort, variant, cluster, pair.1 AS metric, count() AS n_g, sum(toDecimal256(pair.2, 30)) AS s_g, sum(toDecimal256(pair.2 * pair.2, 30)) AS sq_g
            FROM
            (
                SELECT
                    bucket, route, cohort, variant, cluster,
                    arrayJoin(arrayConcat(
                        [('error', toFloat64(failed OR errors > 0)), ('truncated', toFloat64(truncated > 0)),
                         ('refused', toFloat64(refused > 0)), ('retried', toFloat64(retries > 0)),
                         ('fallback', toFloat64(fallbacks > 0)), ('empty', toFloat64(empty_answers > 0)),
                         ('retry_storm', toFloat64(retries >= 3)),
                         ('tool_calls', toFloat64(tool_calls)),
                         ('duration_ms', duration_ns / 1e6), ('log_duration_ms', log(greatest(duration_ns, 1) / 1e6))],
                        if(input_tokens > 0, [('log_input_tokens', log(input_tokens))], []),
                        if(output_tokens > 0, [('log_output_tokens', log(output_tokens))], []),
                        if(tool_calls > 0, [('tool_error', toFloat64(tool_errors > 0)), ('tool_timeout', toFloat64(tool_timeouts > 0)),
                                             ('invalid_tool_arguments', toFloat64(invalid_tool_arguments > 0))], []),
                        if(ifNull(of_key.cost_usd, 0) > 0,
                           [('cost_usd', toFloat64(ifNull(of_key.cost_usd, 0))), ('log_cost_usd', log(toFloat64(ifNull(of_key.cost_usd, 0))))], []),
                        if(isNotNull(ttft_ns), [('log_ttft_ms', log(greatest(ifNull(ttft_ns, 0), 1) / 1e6))], []),
                        arrayMap((k, v) -> (concat('score:', k), v), mapKeys(scores), mapValues(scores)),
                        arrayMap((k, v) -> (concat('score_fail:', k), toFloat64(v)), mapKeys(score_fails), mapValues(score_fails)),
                        arrayMap(k -> (concat('outcome:', k), toFloat64(outcomes[k] > 0)), outcome_names))) AS pair
                FROM of_key
            )
            GROUP BY bucket, route, cohort, variant, cluster, metric
        )
        GROUP BY bucket, route, cohort, variant, metric
        ORDER BY metric
    )
    GROUP BY bucket, route, cohort, variant
)
SELECT
    touched.bucket, touched.route, touched.cohort, touched.variant, plain.traces, plain.sessions, plain.calls,
    plain.tool_calls, plain.errors, plain.input_tokens, plain.output_tokens, plain.cost_usd, plain.unpriced_calls,
    plain.latency_sketch, plain.ttft_sketch, measured.names, measured.ns, measured.totals, measured.totals_sq,
    measured.clusters, measured.cluster_totals_sq, measured.cluster_crosses, measured.cluster_sizes_sq,
    fromUnixTimestamp64Nano({computed_at_ns:Int64}, 'UTC') AS computed_at
FROM touched
LEFT JOIN plain USING (bucket, route, cohort, variant)
LEFT JOIN measured USING (bucket, route, cohort, variant)
SETTINGS join_use_nulls = 0
