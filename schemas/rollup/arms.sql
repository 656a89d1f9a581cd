-- Sufficient statistics of every metric since a time, one arm a (route, cohort, variant).
-- Result: route, cohort, variant, metric, n, total, total_sq, clusters, cluster_total_sq,
-- cluster_cross, cluster_size_sq (as in route_stats.metrics).
SELECT
    route, cohort, variant, metric, sum(n) AS n, sum(total) AS total, sum(total_sq) AS total_sq,
    sum(clusters) AS clusters, sum(cluster_total_sq) AS cluster_total_sq,
    sum(cluster_cross) AS cluster_cross, sum(cluster_size_sq) AS cluster_size_sq
FROM
(
    SELECT route, cohort, variant, metrics.name, metrics.n, metrics.total, metrics.total_sq, metrics.clusters,
           metrics.cluster_total_sq, metrics.cluster_cross, metrics.cluster_size_sq
    FROM route_stats FINAL
    WHERE route IN {routes:Array(String)} AND bucket >= toDateTime({since_s:UInt32}, 'UTC') AND traces > 0
)
ARRAY JOIN
    metrics.name AS metric, metrics.n AS n, metrics.total AS total, metrics.total_sq AS total_sq, metrics.clusters AS clusters,
    metrics.cluster_total_sq AS cluster_total_sq, metrics.cluster_cross AS cluster_cross, metrics.cluster_size_sq AS cluster_size_sq
GROUP BY route, cohort, variant, metric
ORDER BY route, cohort, variant, metric
