-- The frozen thresholds of some routes. Result: route, cohort, baseline, metric, bin (see the table).
SELECT route, cohort, baseline, metric, argMin(bin, frozen_at) AS bin
FROM latency_thresholds
WHERE route IN {routes:Array(String)}
GROUP BY route, cohort, baseline, metric
ORDER BY route, cohort, baseline, metric
