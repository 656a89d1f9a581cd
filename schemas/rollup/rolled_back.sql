-- Candidates that were rolled back since a time: a verdict ROLLBACK stays one. Rows written before
-- there was a rolled_back_at tell when they were evaluated.
-- Result: route, baseline, candidate, rolled_back_at (UTC, the newest), rolled_back_for.
SELECT
    route, baseline, candidate, toString(max(arose_at)) AS rolled_back_at,
    argMax(if(rolled_back_for = '', reason, rolled_back_for), arose_at) AS rolled_back_for
FROM
(
    SELECT *, if(toUnixTimestamp(rolled_back_at) > 0, rolled_back_at, evaluated_at) AS arose_at
    FROM route_verdicts
    WHERE route IN {routes:Array(String)} AND verdict = 'ROLLBACK'
)
WHERE arose_at >= toDateTime({since_s:UInt32}, 'UTC')
GROUP BY route, baseline, candidate
