-- Which traces of a candidate show a loss best?
-- Parameters: route; dimension, split_s and side (what the candidate is, as in rollup/arms.sql); cohort
-- (* for all), metric (a signal's name), since_s (s since 1970, UTC), limit.
-- Result: trace_id, cohort, started_at (UTC), harm: how bad the metric is on this trace, in its own
-- unit (1 where it is a yes or no); only traces where it is bad, the worst and newest first.
SELECT trace_id, cohort, started_at,
    multiIf(
        startsWith({metric:String}, 'score_fail:'), toFloat64(score_fails[substring({metric:String}, 12)]),
        startsWith({metric:String}, 'score:'), if(mapContains(scores, substring({metric:String}, 7)), 1 - scores[substring({metric:String}, 7)], 0),
        startsWith({metric:String}, 'outcome:'), toFloat64(outcomes[substring({metric:String}, 9)] > 0),
        {metric:String} = 'error', toFloat64(failed OR errors > 0),
        {metric:String} IN ('truncated'), toFloat64(truncated),
        {metric:String} = 'empty', toFloat64(empty_answers),
        {metric:String} = 'invalid_tool_arguments', toFloat64(invalid_tool_arguments),
        {metric:String} = 'tool_timeout', toFloat64(tool_timeouts),
        {metric:String} = 'refused', toFloat64(refused),
        {metric:String} LIKE 'retry%', toFloat64(retries),
        {metric:String} = 'fallback', toFloat64(fallbacks),
        {metric:String} LIKE '%tool%', toFloat64(tool_errors),
        {metric:String} LIKE '%cost%', toFloat64(ifNull(cost_usd, 0)),
        {metric:String} LIKE '%ttft%', toFloat64(ifNull(ttft_ns, 0)) / 1e6,
        {metric:String} LIKE '%latency%', duration_ns / 1e6,
        0) AS harm
FROM traces FINAL
WHERE route = {route:String} AND @side = {side:String}
    AND ({cohort:String} = '*' OR @cohort = {cohort:String})
    AND started_at >= toDateTime({since_s:UInt32}, 'UTC') AND harm > 0
ORDER BY harm DESC, started_at DESC, trace_id
LIMIT {limit:UInt32}
