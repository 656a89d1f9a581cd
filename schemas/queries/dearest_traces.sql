-- Which traces cost most, and why?
-- Parameters:
--   since = 7d: how far back, such as 90m, 24h, 7d; all for everything
--   route = : one route, empty for all
--   limit = 20: traces shown
-- Result: trace_id, route, cohort, variant, started_at (UTC), calls, input_tokens, output_tokens,
-- cost_usd (USD), unpriced_calls, cost_gap_usd (USD), why: which of calls, tokens a call and price a
-- token stands out most against the mean of its route.
WITH
    shown AS
    (
        SELECT trace_id, route, cohort, variant, started_at, calls, input_tokens, output_tokens, cost_usd,
               unpriced_calls, cost_gap_usd, retries, models
        FROM traces FINAL
        WHERE started_at >= toDateTime({since_s:UInt32}, 'UTC') AND ({route:String} = '' OR route = {route:String})
        ORDER BY cost_usd DESC NULLS LAST, trace_id
        LIMIT {limit:UInt32}
    ),
    usual AS
    (
        SELECT route, sum(s.calls) / greatest(sum(s.traces), 1) AS usual_calls,
               sum(s.input_tokens + s.output_tokens) / greatest(sum(s.calls), 1) AS usual_tokens,
               toFloat64(sum(s.cost_usd)) / greatest(sum(s.input_tokens + s.output_tokens), 1) AS usual_usd
        FROM route_stats AS s FINAL
        WHERE bucket >= toStartOfHour(toDateTime({since_s:UInt32}, 'UTC'))
            AND route IN (SELECT route FROM shown)
        GROUP BY route
    )
SELECT
    trace_id, route, cohort, variant, started_at, calls, input_tokens, output_tokens, cost_usd, unpriced_calls, cost_gap_usd,
    multiIf(
        isNull(cost_usd), 'no call has a price',
        by_calls >= greatest(by_tokens, by_price, 1.2), format('{} calls, {} times the usual{}', toString(calls), toString(round(by_calls, 1)), if(retries > 0, format(', {} retries', toString(retries)), '')),
        by_tokens >= greatest(by_price, 1.2), format('{} tokens a call, {} times the usual', toString(intDiv(tokens, greatest(calls, 1))), toString(round(by_tokens, 1))),
        by_price >= 1.2, format('{} a token, {} times the usual', arrayStringConcat(models, ', '), toString(round(by_price, 1))),
        'as usual for its route') AS why
FROM
(
    SELECT
        shown.trace_id AS trace_id, shown.route AS route, cohort, variant, started_at, calls, input_tokens, output_tokens,
        cost_usd, unpriced_calls, cost_gap_usd, retries, models, input_tokens + output_tokens AS tokens,
        calls / usual_calls AS by_calls, tokens / greatest(calls, 1) / usual_tokens AS by_tokens,
        toFloat64(ifNull(cost_usd, 0)) / greatest(tokens, 1) / usual_usd AS by_price
    FROM shown
    LEFT JOIN usual ON usual.route = shown.route
)
ORDER BY cost_usd DESC NULLS LAST, trace_id
