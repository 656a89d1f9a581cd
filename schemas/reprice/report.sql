-- What a run changed. Result: model, spans, traces, unpriced_before, unpriced_since (spans without a
-- cost), before_usd, since_usd.
SELECT
    toString(model) AS model, count() AS spans, uniqExact(trace_id) AS traces,
    countIf(isNull(old_cost_usd)) AS unpriced_before, countIf(isNull(new_cost_usd)) AS unpriced_since,
    sum(ifNull(old_cost_usd, 0)) AS before_usd, sum(ifNull(new_cost_usd, 0)) AS since_usd
FROM repriced FINAL
WHERE run = {run:String}
GROUP BY model
ORDER BY spans DESC, model
