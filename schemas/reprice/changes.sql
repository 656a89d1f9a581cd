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
            SELECT
                trace_id, span_id, started_at, duration_ns, latency_ns, operation, provider,
                request_model, response_model, service_tier, input_tokens, output_tokens,
                cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens,
                audio_input_tokens, audio_output_tokens, usage,
                CAST(NULL, 'Nullable(Decimal(38, 24))') AS reported_usd,
                spans.cost_usd AS old_cost_usd, spans.cost_status AS old_status, spans.price_id AS old_price_id
            FROM spans FINAL
            WHERE toDate(started_at) = {day:Date}
                AND (spans.cost_status IN ('computed', 'estimated', 'unpriced', 'no_usage')
                     OR (spans.cost_status = 'rollup' AND told_cost_status != 'reported' AND (spans.price_id != '' OR isNull(spans.cost_usd))))
                AND ({model:String} = '' OR has([lower(request_model), lower(response_model), lower(spans.priced_as)], lower({model:String})))
        )
    )
)
WHERE isNull(old_cost_usd) != isNull(new_cost_usd) OR ifNull(old_cost_usd != new_cost_usd, false)
    OR new_status != old_status OR old_price_id != new_price_id
