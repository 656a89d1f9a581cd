-- The days that have spans. Result: day (UTC date), oldest first.
SELECT DISTINCT toDate(_partition_id, 'UTC') AS day
FROM spans
ORDER BY day
