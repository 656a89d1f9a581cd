-- Which prices hold? Parameters: provider and model (part of the name, empty for all), origin (user,
-- book, empty for both), at_s (s since 1970, UTC). Columns: the row's identity, validity and rates in
-- USD a token.
SELECT price_id, origin, source, provider, model, match, tier, valid_from, valid_to, above_input_tokens,
       input_usd_per_token, output_usd_per_token, cache_read_usd_per_token, cache_write_usd_per_token
FROM prices
WHERE NOT is_withdrawn AND positionCaseInsensitive(provider, {provider:String}) > 0
    AND positionCaseInsensitive(model, {model:String}) > 0 AND ({origin:String} = '' OR origin = {origin:String})
    AND toDate(toDateTime({at_s:UInt32}, 'UTC')) BETWEEN valid_from AND valid_to
ORDER BY origin DESC, provider, model, tier, above_input_tokens, day_from_s
