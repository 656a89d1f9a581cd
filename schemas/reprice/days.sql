-- Days with spans that may be priced anew. Parameters: from_day, to_day (both included), model (empty
-- for all). Result: day, spans.
SELECT toDate(started_at) AS day, count() AS spans
FROM spans FINAL
WHERE toDate(started_at) BETWEEN {from_day:Date} AND {to_day:Date}
    AND cost_status IN ('computed', 'estimated', 'unpriced', 'no_usage', 'rollup')
    AND ({model:String} = '' OR has([lower(request_model), lower(response_model), lower(priced_as)], lower({model:String})))
GROUP BY day
ORDER BY day
