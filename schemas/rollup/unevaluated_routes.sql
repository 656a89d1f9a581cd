-- Routes whose statistics are newer than the newest verdict: a crash came between the two.
-- Result: route.
SELECT DISTINCT route
FROM route_stats
WHERE computed_at >= (SELECT max(evaluated_at) FROM route_verdicts)
ORDER BY route
