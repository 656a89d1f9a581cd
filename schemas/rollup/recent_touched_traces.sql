-- The commits that a span of time holds. Result: stamp (ns since 1970, UTC).
SELECT DISTINCT toUnixTimestamp64Nano(ingested_at) AS stamp
FROM touched_traces
WHERE ingested_at > fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC')
    AND ingested_at <= fromUnixTimestamp64Nano({until_ns:Int64}, 'UTC')
ORDER BY stamp
