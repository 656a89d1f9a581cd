-- The newest commit's stamp. Result: stamp (ns since 1970, UTC; 0 in an empty store).
SELECT greatest(toUnixTimestamp64Nano(max(ingested_at)), 0) AS stamp
FROM touched_traces
