-- Routes whose statistics changed. Result: route.
SELECT DISTINCT route
FROM touched_routes
WHERE rolled_up_at > fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC')
    AND rolled_up_at <= fromUnixTimestamp64Nano({until_ns:Int64}, 'UTC')
ORDER BY route
