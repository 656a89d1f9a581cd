-- The newest version of a trace's row. Result: version (ns since 1970, UTC; 0 without any).
SELECT greatest(toUnixTimestamp64Nano(max(rolled_up_at)), 0) AS version
FROM touched_routes
