-- How large is the store, and how much memory does its engine hold? Answered from memory.
-- Result: one row: engine_memory_bytes, parts (active), merges (running), stored_rows (before
-- deduplication), stored_bytes (on disk), oldest_span_s (start of the oldest day of spans, s since
-- 1970 UTC, 0 when there are none).
SELECT
    (SELECT sum(value) FROM system.metrics WHERE metric = 'MemoryTracking') AS engine_memory_bytes,
    (SELECT sum(value) FROM system.metrics WHERE metric = 'Merge') AS merges,
    count() AS parts,
    sum(rows) AS stored_rows,
    sum(bytes_on_disk) AS stored_bytes,
    ifNull(toUnixTimestamp(toDateTime(
        minOrNullIf(toDateOrNull(partition), table = 'spans' AND toDateOrNull(partition) IS NOT NULL),
        'UTC')), 0) AS oldest_span_s
FROM system.parts
WHERE active AND database = currentDatabase()
