-- Candidates that were rolled back before: a verdict ROLLBACK stays one. Result: route, baseline, candidate.
SELECT DISTINCT route, baseline, candidate
FROM route_verdicts
WHERE route IN {routes:Array(String)} AND verdict = 'ROLLBACK'
    AND evaluated_at >= toDateTime({since_s:UInt32}, 'UTC')
