-- Sufficient statistics of scores (mean, and failing) and outcomes since a time, one row a
-- (route, cohort, side, epoch, metric); parameters and clusters as in arms.sql. An outcome counts
-- on traces of at most {outcome_until_s}; a trace without it is in no sum here, but n_g, the traces
-- of a cluster that cluster_cross multiplies with, takes in all of the cluster's.
-- Result: route, cohort, side, epoch, metric, first_s, last_s (of traces that have it), n, total,
-- total_sq, clusters, cluster_total_sq, cluster_cross, cluster_size_sq.
WITH
    @long_sessions,
    traces_of AS
    (
        SELECT
            route,
            @side AS side,
            @cluster AS cluster,
            @epoch,
            toUnixTimestamp(started_at) AS at_s,
            arrayFilter((name, is_in) -> is_in,
                        [@cohort, 'builtin:long-context', 'builtin:tool-using', 'builtin:multi-turn', 'builtin:non-english'],
                        [true, @built_in]) AS cohorts,
            arrayConcat(
                arrayMap((k, x) -> (concat('score:', k), x, at_s), mapKeys(scores), mapValues(scores)),
                arrayMap((k, x) -> (concat('score_fail:', k), toFloat64(x), at_s), mapKeys(score_fails), mapValues(score_fails)),
                arrayMap((k, x) -> (concat('outcome:', k), toFloat64(x > 0), at_s), mapKeys(outcomes),
                         if(toUnixTimestamp(started_at) <= {outcome_until_s:UInt32}, mapValues(outcomes), arrayMap(x -> 0., mapValues(outcomes))))) AS told_of
        @traces
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
            arrayFilter(x -> x.1 = metric, told) AS told_here,
            told_here.2 AS told_values, arrayMin(told_here.3) AS first_s_g, arrayMax(told_here.3) AS last_s_g,
            if(startsWith(metric, 'outcome:'), size, toFloat64(length(told_values))) AS n_g,
            arraySum(told_values) AS s_g, arraySum(x -> x * x, told_values) AS q_g
        FROM clusters_of
    )
SELECT
    route, cohort, side, epoch, metric, min(first_s_g) AS first_s, max(last_s_g) AS last_s,
    toFloat64(sum(length(told_values))) AS n, sum(s_g) AS total, sum(q_g) AS total_sq,
    toFloat64(count()) AS clusters, sum(s_g * s_g) AS cluster_total_sq, sum(s_g * n_g) AS cluster_cross, sum(n_g * n_g) AS cluster_size_sq
FROM measured
GROUP BY route, cohort, side, epoch, metric
ORDER BY route, cohort, side, epoch, metric
