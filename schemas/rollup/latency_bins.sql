-- Histograms of duration and time to first token since a time, bins of 2 %: a bin is the natural
-- logarithm of the milliseconds times 50, rounded. Parameters as in arms.sql.
-- Result: route, cohort, side, epoch, measure (duration | ttft), bins, counts.
WITH
    long_sessions AS
    (
        SELECT route, session_id
        FROM traces FINAL
        WHERE route IN {routes:Array(String)} AND session_id != '' AND started_at >= toDateTime({since_s:UInt32}, 'UTC')
        GROUP BY route, session_id
        HAVING count() > 1
    ),
    traces_of AS
    (
        SELECT
            route,
            multiIf({dimension:String} = 'variant', toString(variant),
                    {dimension:String} = 'model', arrayStringConcat(models, '+'),
                    {dimension:String} = 'release', toString(service_version),
                    {dimension:String} = 'prompt', toString(prompt_version),
                    toUnixTimestamp(started_at) < {split_s:UInt32}, 'before', 'after') AS side,
            multiIf(session_id != '', session_id, user_id != '', user_id, trace_id) AS cluster,
            if(empty({epochs:Array(Array(UInt32))}), 0,
               toUInt32(arrayCount(start -> start <= toUnixTimestamp(started_at), {epochs:Array(Array(UInt32))}[indexOf({routes:Array(String)}, route)]))) AS epoch,
            arrayFilter((name, is_in) -> is_in,
                        [toString(cohort), 'builtin:long-context', 'builtin:tool-using', 'builtin:multi-turn', 'builtin:non-english'],
                        [true, largest_input_tokens >= {long_context_tokens:UInt32}, tool_calls > 0,
                         user_turns > 1 OR (session_id != '' AND (route, session_id) IN (long_sessions)),
                         non_latin_share >= {non_latin_share:Float64}]) AS cohorts,
            [('duration', toInt16(round(log(greatest(duration_ns, 1) / 1e6) * 50))),
             ('ttft', toInt16(round(log(greatest(ifNull(ttft_ns, 1), 1) / 1e6) * 50)))] AS timed,
            isNotNull(ttft_ns) AS is_streamed
        FROM traces AS t FINAL
        WHERE route IN {routes:Array(String)} AND started_at >= toDateTime({since_s:UInt32}, 'UTC')
    )
SELECT route, cohort, side, epoch, measure, groupArray(bin) AS bins, groupArray(size) AS counts
FROM
(
    SELECT route, cohort, side, epoch, timing.1 AS measure, timing.2 AS bin, toFloat64(count()) AS size
    FROM
    (
        SELECT route, side, epoch, is_streamed, cohort, arrayJoin(if(is_streamed, timed, [timed[1]])) AS timing
        FROM traces_of
        ARRAY JOIN cohorts AS cohort
        WHERE side != ''
    )
    GROUP BY route, cohort, side, epoch, measure, bin
    ORDER BY route, cohort, side, epoch, measure, bin
)
GROUP BY route, cohort, side, epoch, measure
ORDER BY route, cohort, side, epoch, measure
