-- Calls of a variant inside traces that count as another's: a mirrored call without a trace of its own.
-- Parameters: route, side (the variant), since_s (s since 1970, UTC). Result: traces.
SELECT uniqExact(trace_id) AS traces
FROM spans
WHERE variant = {side:String} AND started_at >= toDateTime({since_s:UInt32}, 'UTC')
    AND trace_id IN
    (
        SELECT trace_id
        FROM traces
        WHERE route = {route:String} AND variant != {side:String} AND started_at >= toDateTime({since_s:UInt32}, 'UTC')
    )
