-- Mirrored answers to the same inputs (pair_id) since a time: what they differ by, one row a (route,
-- cohort, candidate, metric). The baseline's trace names cohort and cluster; of several traces of a
-- side the newest counts. The cohort * is the whole route. An outcome that one side lacks did not
-- happen there; of anything else both sides must have a value.
-- Parameters: as in arms.sql, and {baselines}, one side a route.
-- Result: route, cohort, candidate, metric, only_candidate, only_baseline, both_bad (pairs with a
-- value above 0), baseline_total, and of the differences candidate minus baseline the sums of arms.sql.
WITH
    @long_sessions,
    traces_of AS
    (
        SELECT
            route,
            @side AS side,
            @cluster AS cluster,
            pair_id, started_at,
            arrayFilter((name, is_in) -> is_in,
                        ['*', @cohort, 'builtin:long-context', 'builtin:tool-using', 'builtin:multi-turn', 'builtin:non-english'],
                        [true, true, @built_in]) AS cohorts,
            @measures,
            log(greatest(duration_ns, 1) / 1e6) AS log_ms,
            isNotNull(ttft_ns) AS is_streamed,
            if(is_streamed, log(greatest(ifNull(ttft_ns, 1), 1) / 1e6), 0) AS log_ttft,
            log(greatest(input_tokens, 1)) AS log_input,
            log(greatest(output_tokens, 1)) AS log_output,
            truncated > 0 AS is_truncated, refused > 0 AS is_refused, empty_answers > 0 AS is_empty,
            retries > 0 AS is_retried, retries >= 3 AS is_storm, fallbacks > 0 AS is_fallback,
            tool_errors > 0 AS has_tool_error, tool_timeouts > 0 AS has_timeout, invalid_tool_arguments > 0 AS has_invalid,
            toFloat64(tool_calls) AS tools, input_tokens > 0 AS has_input, output_tokens > 0 AS has_output,
            arrayMap(x -> x = 1, [true, true, true, true, true, true, true, has_tools, has_tools, asked_tools,
             true, is_priced, is_priced, true, is_streamed, has_input, has_output]) AS counted,
            arrayMap(x -> toFloat64(x), [has_error, is_truncated, is_refused, is_empty, is_retried, is_storm, is_fallback, has_tool_error, has_timeout,
             has_invalid, tools, log_usd, usd, log_ms, log_ttft, log_input, log_output]) AS values,
            ['error', 'truncated', 'refused', 'empty', 'retried', 'retry_storm', 'fallback', 'tool_error', 'tool_timeout',
             'invalid_tool_arguments', 'tool_calls', 'log_cost_usd', 'cost_usd', 'log_duration_ms',
             'log_ttft_ms', 'log_input_tokens', 'log_output_tokens'] AS names,
            mapConcat(
                mapFromArrays(arrayFilter((k, c) -> c, names, counted), arrayFilter((x, c) -> c, values, counted)),
                mapFromArrays(arrayMap(k -> concat('score:', k), mapKeys(scores)), mapValues(scores)),
                mapFromArrays(arrayMap(k -> concat('score_fail:', k), mapKeys(score_fails)), arrayMap(x -> toFloat64(x), mapValues(score_fails))),
                mapFromArrays(arrayMap(k -> concat('outcome:', k), mapKeys(outcomes)), arrayMap(x -> toFloat64(x > 0), mapValues(outcomes)))) AS told
        @traces
            AND pair_id != ''
    ),
    told_pairs AS
    (
        SELECT route, pair_id, side, argMax(told, started_at) AS told, argMax(cohorts, started_at) AS cohorts, argMax(cluster, started_at) AS cluster
        FROM traces_of
        WHERE side != ''
        GROUP BY route, pair_id, side
    ),
    outcomes_of AS
    (
        SELECT route, arrayMap(k -> concat('outcome:', k), groupUniqArrayArray(mapKeys(outcomes))) AS outcome_names
        FROM traces FINAL
        WHERE route IN {routes:Array(String)} AND started_at >= toDateTime({since_s:UInt32}, 'UTC') AND pair_id != ''
        GROUP BY route
    ),
    both AS
    (
        SELECT
            b.route AS route, arrayJoin(b.cohorts) AS cohort, c.side AS candidate, b.cluster AS cluster,
            arrayJoin(arrayDistinct(arrayConcat(
                arrayIntersect(mapKeys(b.told), mapKeys(c.told)),
                outcome_names))) AS metric,
            b.told[metric] AS base, c.told[metric] AS other
        FROM (SELECT * FROM told_pairs WHERE side = {baselines:Array(String)}[indexOf({routes:Array(String)}, route)]) AS b
        INNER JOIN (SELECT * FROM told_pairs WHERE side != {baselines:Array(String)}[indexOf({routes:Array(String)}, route)]) AS c
            ON b.route = c.route AND b.pair_id = c.pair_id
        INNER JOIN outcomes_of ON outcomes_of.route = b.route
    ),
    clusters_of AS
    (
        SELECT
            route, cohort, candidate, metric, cluster, toFloat64(count()) AS n_g, sum(other - base) AS s_g,
            sum((other - base) * (other - base)) AS q_g, toFloat64(countIf(other > 0 AND base <= 0)) AS c_g,
            toFloat64(countIf(base > 0 AND other <= 0)) AS b_g, toFloat64(countIf(base > 0 AND other > 0)) AS both_g, sum(base) AS base_g
        FROM both
        GROUP BY route, cohort, candidate, metric, cluster
    )
SELECT
    route, cohort, candidate, metric, sum(c_g) AS only_candidate, sum(b_g) AS only_baseline, sum(both_g) AS both_bad,
    sum(base_g) AS baseline_total, sum(n_g) AS n, sum(s_g) AS total, sum(q_g) AS total_sq, toFloat64(count()) AS clusters,
    sum(s_g * s_g) AS cluster_total_sq, sum(s_g * n_g) AS cluster_cross, sum(n_g * n_g) AS cluster_size_sq
FROM clusters_of
GROUP BY route, cohort, candidate, metric
ORDER BY route, cohort, candidate, metric
