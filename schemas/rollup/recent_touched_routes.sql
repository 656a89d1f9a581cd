-- The roll-ups of traces that a span of time holds. Result: stamp (ns since 1970, UTC).
SELECT DISTINCT toUnixTimestamp64Nano(rolled_up_at) AS stamp
FROM touched_routes
WHERE rolled_up_at > fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC')
    AND rolled_up_at <= fromUnixTimestamp64Nano({until_ns:Int64}, 'UTC')
ORDER BY stamp
