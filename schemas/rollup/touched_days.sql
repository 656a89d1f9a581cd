-- Days with keys of route_stats to recompute. Result: day_s (its start, s since 1970, UTC).
SELECT DISTINCT toUnixTimestamp(toDateTime(toDate(bucket), 'UTC')) AS day_s
FROM touched_routes
WHERE rolled_up_at > fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC')
    AND rolled_up_at <= fromUnixTimestamp64Nano({until_ns:Int64}, 'UTC')
ORDER BY day_s
