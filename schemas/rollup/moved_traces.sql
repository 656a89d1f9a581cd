-- Take a trace out of the day that it no longer begins on: an earlier span of another day came.
-- What is left there is older than the new row, which wins where days are read together.
INSERT INTO traces
WITH
    touched AS (SELECT trace_id, day FROM rollup_touched WHERE rolled_up_at = fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC')),
    several AS (SELECT trace_id FROM touched GROUP BY trace_id HAVING uniqExact(day) > 1)
SELECT * REPLACE (
    1 AS is_deleted,
    fromUnixTimestamp64Nano({rolled_up_at_ns:Int64} - 1, 'UTC') AS rolled_up_at)
FROM traces AS t FINAL
WHERE trace_id IN (SELECT trace_id FROM several) AND _partition_id IN (SELECT toString(toYYYYMMDD(day)) FROM touched)
    AND t.rolled_up_at < fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC')
SETTINGS do_not_merge_across_partitions_select_final = 1, max_partitions_per_insert_block = 0
