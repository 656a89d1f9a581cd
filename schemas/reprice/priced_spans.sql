-- What a price is worked out from, of a day's spans that may be priced anew: one of {parts}, since a
-- server's spans are priced in this process. Parameters: day, model (empty for all), part, parts.
SELECT
    trace_id, span_id, started_at, duration_ns, latency_ns, operation, provider,
    request_model, response_model, service_tier, input_tokens, output_tokens,
    cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens,
    audio_input_tokens, audio_output_tokens, usage,
    CAST(NULL, 'Nullable(Decimal(38, 24))') AS reported_usd,
    spans.cost_usd AS old_cost_usd, spans.cost_status AS old_status, spans.price_id AS old_price_id
FROM spans FINAL
WHERE toDate(started_at) = {day:Date} AND cityHash64(trace_id) % {parts:UInt32} = {part:UInt32}
    AND (spans.cost_status IN ('computed', 'estimated', 'unpriced', 'no_usage')
         OR (spans.cost_status = 'rollup' AND told_cost_status != 'reported' AND (spans.price_id != '' OR isNull(spans.cost_usd))))
    AND ({model:String} = '' OR has([lower(request_model), lower(response_model), lower(spans.priced_as)], lower({model:String})))
