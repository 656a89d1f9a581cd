-- What got cheaper, what got worse, where, how sure?
-- Parameters:
--   route = : one route, empty for all
-- Result: the newest row of each signal, alarms and regressions first; see route_signals.
SELECT *
FROM latest_route_signals
WHERE {route:String} = '' OR route = {route:String}
ORDER BY state = 'CHEAPER_BUT_WORSE' DESC, state = 'REGRESSED' DESC, route, candidate, cohort, metric
