-- How much traffic each side had over time since a time, in 48 to 96 equal stretches a route (of an
-- hour at most, a minute at least: nothing drifts in less). Parameters as in arms.sql.
-- Result: route, side, bucket_s (start, s since 1970, UTC), from_s, to_s (of its traces), traces,
-- mirrored (those with a pair_id), first_s, last_s (of the route's traces).
SELECT route, side, bucket_s, min(at_s) AS from_s, max(at_s) AS to_s, count() AS traces, sum(is_mirrored) AS mirrored, first_s, last_s
FROM
(
    SELECT
        route,
        @side AS side,
        toUnixTimestamp(started_at) AS at_s, pair_id != '' AS is_mirrored,
        min(at_s) OVER (PARTITION BY route) AS first_s,
        max(at_s) OVER (PARTITION BY route) AS last_s,
        least(3600, exp2(ceil(log2(greatest(last_s - first_s, 1) / 96)))) AS real_width_s,
        toUInt32(greatest(60, real_width_s)) AS width_s,
        toUInt32(first_s + intDiv(at_s - first_s, width_s) * width_s) AS bucket_s
    FROM traces FINAL
    WHERE route IN {routes:Array(String)} AND started_at >= toDateTime({since_s:UInt32}, 'UTC')
)
WHERE side != ''
GROUP BY route, side, bucket_s, first_s, last_s
ORDER BY route, bucket_s, side
