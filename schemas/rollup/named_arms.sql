-- Sufficient statistics of scores (mean, and failing) and outcomes since a time, one row a
-- (route, cohort, side, epoch, metric); parameters and clusters as in arms.sql. An outcome counts
-- on traces of at most {outcome_until_s}; a trace without it is in no sum here, but n_g, the traces
-- of a cluster that cluster_cross multiplies with, takes in all of the cluster's.
-- Result: route, cohort, side, epoch, metric, n, total, total_sq, clusters, cluster_total_sq,
-- cluster_cross, cluster_size_sq.
WITH
    long_sessions AS
    (
        SELECT route, session_id
        FROM traces FINAL
        WHERE route IN {routes:Array(String)} AND session_id != '' AND started_at >= toDateTime({since_s:UInt32}, 'UTC')
        GROUP BY route, session_id
        HAVING count() > 1
    ),
    traces_of AS
    (
        SELECT
            route,
            multiIf({dimension:String} = 'variant', toString(variant),
                    {dimension:String} = 'model', arrayStringConcat(models, '+'),
                    {dimension:String} = 'release', toString(service_version),
                    {dimension:String} = 'prompt', toString(prompt_version),
                    toUnixTimestamp(started_at) < {split_s:UInt32}, 'before', 'after') AS side,
            multiIf(session_id != '', session_id, user_id != '', user_id, trace_id) AS cluster,
            if(empty({epochs:Array(Array(UInt32))}), 0,
               toUInt32(arrayCount(start -> start <= toUnixTimestamp(started_at), {epochs:Array(Array(UInt32))}[indexOf({routes:Array(String)}, route)]))) AS epoch,
            arrayFilter((name, is_in) -> is_in,
                        [toString(cohort), 'builtin:long-context', 'builtin:tool-using', 'builtin:multi-turn', 'builtin:non-english'],
                        [true, largest_input_tokens >= {long_context_tokens:UInt32}, tool_calls > 0,
                         user_turns > 1 OR (session_id != '' AND (route, session_id) IN (long_sessions)),
                         non_latin_share >= {non_latin_share:Float64}]) AS cohorts,
            arrayConcat(
                arrayMap((k, x) -> (concat('score:', k), x), mapKeys(scores), mapValues(scores)),
                arrayMap((k, x) -> (concat('score_fail:', k), toFloat64(x)), mapKeys(score_fails), mapValues(score_fails)),
                arrayMap((k, x) -> (concat('outcome:', k), toFloat64(x > 0)), mapKeys(outcomes),
                         if(toUnixTimestamp(started_at) <= {outcome_until_s:UInt32}, mapValues(outcomes), arrayMap(x -> 0., mapValues(outcomes))))) AS told_of
        FROM traces AS t FINAL
        WHERE route IN {routes:Array(String)} AND started_at >= toDateTime({since_s:UInt32}, 'UTC')
    ),
    clusters_of AS
    (
        SELECT route, side, cohort, epoch, cluster, toFloat64(count()) AS size, groupArrayArray(told_of) AS told
        FROM traces_of
        ARRAY JOIN cohorts AS cohort
        WHERE side != ''
        GROUP BY route, side, cohort, epoch, cluster
        HAVING notEmpty(told)
    ),
    measured AS
    (
        SELECT
            route, side, cohort, epoch, arrayJoin(arrayDistinct(told.1)) AS metric,
            arrayFilter(x -> x.1 = metric, told).2 AS told_values,
            if(startsWith(metric, 'outcome:'), size, toFloat64(length(told_values))) AS n_g,
            arraySum(told_values) AS s_g, arraySum(x -> x * x, told_values) AS q_g
        FROM clusters_of
    )
SELECT
    route, cohort, side, epoch, metric, toFloat64(sum(length(told_values))) AS n, sum(s_g) AS total, sum(q_g) AS total_sq,
    toFloat64(count()) AS clusters, sum(s_g * s_g) AS cluster_total_sq, sum(s_g * n_g) AS cluster_cross, sum(n_g * n_g) AS cluster_size_sq
FROM measured
GROUP BY route, cohort, side, epoch, metric
ORDER BY route, cohort, side, epoch, metric
