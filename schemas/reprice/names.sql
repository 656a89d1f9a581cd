-- Names that calls of a day tell. Result: provider, model, request_model (all lowercase).
SELECT DISTINCT lower(provider) AS provider, lower(response_model) AS model, lower(request_model) AS request_model
FROM spans
WHERE toDate(started_at) = {day:Date}
    AND cost_status IN ('computed', 'estimated', 'unpriced', 'no_usage', 'rollup')
