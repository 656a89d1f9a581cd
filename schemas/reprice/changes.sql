-- What the current prices change on a day. A cost that the provider reported stays: also on a call that
-- another span tells too (rollup), where a cost without a price row was a reported one. Such a call
-- keeps its status; the roll-up owns that.
SELECT
    {run:String} AS run, {day:Date} AS day, trace_id, span_id,
    if(response_model = '', request_model, response_model) AS model,
    old_cost_usd, cost_usd AS new_cost_usd,
    if(old_status = 'rollup', 'rollup', cost_status) AS new_status, if(old_status = 'rollup', cost_status, '') AS new_told_status,
    price_id AS new_price_id, priced_as AS new_priced_as
FROM
(
    SELECT trace_id, span_id, request_model, response_model, old_cost_usd, old_status, old_price_id, @price_cost
    FROM
    (
        SELECT *, @price_rates
        FROM
        (
            @priced_spans
        )
    )
)
WHERE isNull(old_cost_usd) != isNull(new_cost_usd) OR ifNull(old_cost_usd != new_cost_usd, false)
    OR new_status != old_status OR old_price_id != new_price_id
