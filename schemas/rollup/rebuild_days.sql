-- Learn anew which traces have spans on a day.
INSERT INTO trace_days (trace_id, day, first_at)
SELECT trace_id, {day:Date} AS day, min(ingested_at) AS first_at
FROM spans
WHERE toDate(started_at) = {day:Date}
GROUP BY trace_id
SETTINGS final = 0, optimize_aggregation_in_order = 1, max_threads = 1
