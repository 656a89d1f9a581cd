-- How much does a variant serve?
-- Parameters: route, variant, since_s (s since 1970, UTC).
-- Result: traces; days: from the first to the last of them.
SELECT count() AS traces, (max(toFloat64(started_at)) - min(toFloat64(started_at))) / 86400 AS days
FROM traces FINAL
WHERE route = {route:String} AND variant = {variant:String}
    AND started_at >= toDateTime({since_s:UInt32}, 'UTC')
