-- On which days the new spans of a step began. Reads what was committed since, by its skip index.
INSERT INTO trace_days (trace_id, day, first_at)
SELECT trace_id, toDate(started_at) AS day, min(ingested_at) AS first_at
FROM spans
WHERE ingested_at > fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC')
    AND ingested_at <= fromUnixTimestamp64Nano({until_ns:Int64}, 'UTC')
GROUP BY trace_id, day
SETTINGS final = 0, compile_aggregate_expressions = 0
