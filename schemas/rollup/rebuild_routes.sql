-- Touch every key of route_stats on a day: those that no trace stands in any more too.
INSERT INTO touched_routes (rolled_up_at, bucket, route, cohort, variant)
SELECT fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC') AS rolled_up_at, bucket, route, cohort, variant
FROM route_stats FINAL
WHERE toDate(bucket) = {day:Date}
