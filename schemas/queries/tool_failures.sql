-- Which tools fail, how often, and how long do they take?
-- Parameters:
--   since = 7d: how far back, such as 90m, 24h, 7d; all for everything
-- Result: tool_name, runs, failures, failure_rate (0 to 1), commonest_error, last_failed_at (UTC),
-- p50_ms, p95_ms (duration, ms).
SELECT
    tool_name, count() AS runs, countIf(status = 'ERROR') AS failures, round(failures / runs, 6) AS failure_rate,
    topKIf(1)(if(error_type = '', left(status_message, 120), error_type), status = 'ERROR')[1] AS commonest_error,
    maxOrNullIf(started_at, status = 'ERROR') AS last_failed_at,
    quantileDD(0.01, 0.5)(duration_ns / 1e6) AS p50_ms, quantileDD(0.01, 0.95)(duration_ns / 1e6) AS p95_ms
FROM spans FINAL
WHERE operation = 'execute_tool' AND started_at >= toDateTime({since_s:UInt32}, 'UTC')
GROUP BY tool_name
ORDER BY failures DESC, runs DESC, tool_name
