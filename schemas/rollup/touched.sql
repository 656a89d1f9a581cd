-- The traces that a step recomputes, one row a day of their spans.
INSERT INTO rollup_touched (rolled_up_at, trace_id, day, first_at, is_recent)
WITH touched AS
(
    SELECT DISTINCT trace_id
    FROM touched_traces
    WHERE ingested_at > fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC')
        AND ingested_at <= fromUnixTimestamp64Nano({until_ns:Int64}, 'UTC')
)
SELECT
    fromUnixTimestamp64Nano({rolled_up_at_ns:Int64}, 'UTC') AS rolled_up_at,
    touched.trace_id AS trace_id, known.day AS day, known.first_at AS first_at,
    min(known.first_at) OVER (PARTITION BY touched.trace_id) > fromUnixTimestamp64Nano({until_ns:Int64}, 'UTC') - INTERVAL 10 MINUTE AS is_recent
FROM touched
LEFT JOIN
(
    SELECT trace_id, day, min(first_at) AS first_at
    FROM trace_days
    WHERE trace_id IN (touched)
    GROUP BY trace_id, day
) AS known ON known.trace_id = touched.trace_id
SETTINGS join_use_nulls = 0
