-- The price of a call, first of two layers that ingest and reprice share: the row of rates, by model
-- (the one that answered, else the one asked for), tier, time of the day, length of the prompt, day.
-- Both read the columns of a span and reported_usd. They are two, since the engine spells out every
-- expression by name: in one, planning a statement took a sixth of a second longer.
ifNull(reported_usd > 0, false) AS is_reported,
operation NOT IN ('invoke_agent', 'invoke_workflow', 'create_agent', 'chain', 'execute_tool', 'workflow', 'task')
    AND (input_tokens > 0 OR output_tokens > 0 OR notEmpty(usage)) AS has_usage,
operation IN ('chat', 'text_completion', 'generate_content', 'embeddings') AS is_call,
-- Counts that contradict each other are read as if the whole were not told to hold its parts.
greatest(ifNull(cache_write_tokens, 0), ifNull(cache_write_1h_tokens, 0)) AS written_tokens,
greatest(toInt64(ifNull(input_tokens, 0)), toInt64(ifNull(cache_read_tokens, 0)) + written_tokens,
         toInt64(ifNull(audio_input_tokens, 0))) AS whole_input_tokens,
greatest(ifNull(output_tokens, 0), ifNull(audio_output_tokens, 0)) AS whole_output_tokens,
dictGet('codec.models', ('schedule', 'priced_as', 'tiers', 'seconds', 'lengths'),
        (lower(provider), lower(response_model), lower(request_model))) AS resolved,
dictGet('codec.rates',
        ('price_id', 'status', 'needs_usage', 'input', 'output', 'cache_read', 'cache_write', 'cache_write_1h', 'request',
         'least', 'extra', 'units', 'unit_rates', 'unit_per'),
        toUInt64(resolved.1) * 1048576 + indexOf(resolved.3, lower(service_tier)) * 16384
            + 128 * arrayCount(s -> toUInt32(toUnixTimestamp(started_at) % 86400) >= s, resolved.4)
            + arrayCount(t -> whole_input_tokens > t, resolved.5),
        toDate(started_at)) AS rates
