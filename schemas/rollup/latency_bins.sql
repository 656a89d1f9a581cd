-- Histograms of duration and time to first token since a time, bins of 2 %: a bin is the natural
-- logarithm of the milliseconds times 50, rounded. Parameters as in arms.sql.
-- Result: route, cohort, side, epoch, measure (duration | ttft), bins, counts.
WITH
    @long_sessions,
    traces_of AS
    (
        SELECT
            route,
            @side AS side,
            @cluster AS cluster,
            @epoch,
            arrayFilter((name, is_in) -> is_in,
                        [@cohort, 'builtin:long-context', 'builtin:tool-using', 'builtin:multi-turn', 'builtin:non-english'],
                        [true, @built_in]) AS cohorts,
            [('duration', toInt16(round(log(greatest(duration_ns, 1) / 1e6) * 50))),
             ('ttft', toInt16(round(log(greatest(ifNull(ttft_ns, 1), 1) / 1e6) * 50)))] AS timed,
            isNotNull(ttft_ns) AS is_streamed
        @traces
            AND @is_warm
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
