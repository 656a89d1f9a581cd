-- What does the gate say of each candidate?
-- Parameters: route (empty for all).
-- Result: the newest verdict of each candidate, alarms and roll-backs first; see route_verdicts.
SELECT *
FROM latest_route_verdicts
WHERE {route:String} = '' OR route = {route:String}
ORDER BY cheaper_but_worse DESC, verdict = 'ROLLBACK' DESC, route, candidate
