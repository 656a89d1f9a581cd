-- The keys of route_stats that the touched traces stand in now. Run before the traces are
-- recomputed (the keys they leave) and after (the keys they enter).
INSERT INTO touched_routes (rolled_up_at, bucket, route, cohort, variant)
WITH touched AS (SELECT trace_id, day FROM rollup_touched WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC'))
SELECT DISTINCT
    fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AS rolled_up_at,
    toStartOfHour(started_at) AS bucket, route, cohort, variant
FROM traces FINAL
WHERE trace_id IN (SELECT trace_id FROM touched) AND _partition_id IN (SELECT toString(toYYYYMMDD(day)) FROM touched)
