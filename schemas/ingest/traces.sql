-- OTLP trace requests to rows of span_stage: decode, normalise, price, in one statement.
-- {source} is the file of length-delimited requests; @column(…) and its kin come from
-- conventions.toml (see processor/tollway_processor/ingest/statement.py). Lines that end in IF LARGE
-- are taken for batches that may hold an attribute too long or a span with too many, those that end
-- in IF SMALL for the others: what they say costs a twentieth of a small commit to plan.
INSERT INTO span_stage (
    trace_id, span_id, parent_span_id, started_at, duration_ns, project, service, service_version,
    name, kind, status, status_message, operation, error_type, route, cohort, variant,
    provider, request_model, response_model, response_id, service_tier,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    audio_input_tokens, audio_output_tokens, cache_write_1h_tokens, usage, finish_reasons, tool_name, tool_call_id, tool_names,
    tool_call_count, ttft_ns, latency_ns, session_id, user_id, pair_id, shadow, agent, node,
    endpoint, retries, is_fallback, cost_usd, cost_status, price_id, priced_as, resource, attributes,
    scope_name, scope_version, event_times, event_names, event_attributes,
    link_trace_ids, link_span_ids, ingested_at, system_instructions, input_messages,
    output_messages, tool_definitions, tool_arguments, tool_result, request_index, refusal,
    is_score_carrier)
SELECT
    trace_id, span_id, parent_span_id, started_at, duration_ns, project, service, service_version,
    name, kind, status, status_message, operation, error_type, route, cohort, variant,
    provider, request_model, response_model, response_id, service_tier,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    audio_input_tokens, audio_output_tokens, cache_write_1h_tokens, usage, finish_reasons, tool_name, tool_call_id, tool_names,
    tool_call_count, ttft_ns, latency_ns, session_id, user_id, pair_id, shadow, agent, node,
    endpoint, retries, is_fallback,
    @price_cost,
    resource, attributes, scope_name, scope_version, event_times, event_names, event_attributes,
    link_trace_ids, link_span_ids, ingested_at, system_instructions, input_messages,
    output_messages, tool_definitions, tool_arguments, tool_result, request_index, refusal,
    is_score_carrier
FROM
(
    -- 5. rates of the call's model; its price is in the SELECT above
    SELECT
        *,
        @price_rates
    FROM
    (
        -- 4. columns: each is the first of its attributes that the span carries
        SELECT
            lower(hex(span.trace_id)) AS trace_id,
            lower(hex(span.span_id)) AS span_id,
            lower(hex(span.parent_span_id)) AS parent_span_id,
            multiIf(
                length(span.trace_id) != 16, format('trace id has {} bytes, not 16', length(span.trace_id)),
                empty(replaceAll(span.trace_id, '\0', '')), 'trace id is all zero',
                length(span.span_id) != 8, format('span id has {} bytes, not 8', length(span.span_id)),
                empty(replaceAll(span.span_id, '\0', '')), 'span id is all zero',
                span.end_time_unix_nano < span.start_time_unix_nano, 'end is before start',
                span.start_time_unix_nano < {oldest_ns:UInt64}, 'start is before the retention window',
                span.end_time_unix_nano > {newest_ns:UInt64}, 'end is more than an hour in the future',
                '') AS refusal,
            if(refusal = '', fromUnixTimestamp64Nano(toInt64(span.start_time_unix_nano), 'UTC'), toDateTime64(0, 9, 'UTC')) AS started_at,
            if(refusal = '', span.end_time_unix_nano - span.start_time_unix_nano, 0) AS duration_ns,
            project, request_index,
            resource_all['service.name'] AS service,
            resource_all['service.version'] AS service_version,
            mapFilter((k, v) -> k NOT IN ('service.name', 'service.version'), resource_all) AS resource,
            span.name AS name, -- IF SMALL
            if(length(span.name) > {attribute_bytes:UInt32}, concat(toValidUTF8(left(span.name, {attribute_bytes:UInt32})), '… [cut, ', toString(length(span.name)), ' bytes]'), span.name) AS name, -- IF LARGE
            toInt8(if(span.kind BETWEEN 0 AND 5, span.kind, 0)) AS kind,
            toInt8(if(span.status.code BETWEEN 0 AND 2, span.status.code, 0)) AS status,
            span.status.message AS status_message, -- IF SMALL
            if(length(span.status.message) > {attribute_bytes:UInt32}, concat(toValidUTF8(left(span.status.message, {attribute_bytes:UInt32})), '… [cut, ', toString(length(span.status.message)), ' bytes]'), span.status.message) AS status_message, -- IF LARGE
            transform(lower(@text(operation)),
                ['llm', 'embedding', 'tool', 'agent', 'retriever', 'completion', 'generation', 'chat_model', 'chain'],
                ['chat', 'embeddings', 'execute_tool', 'invoke_agent', 'retrieval', 'text_completion', 'chat', 'chat', 'chain'],
                lower(@text(operation))) AS operation,
            @text(error_type) AS error_type,
            @text(route) AS route, @text(cohort) AS cohort, @text(variant) AS variant,
            @text(provider) AS provider,
            @text(request_model) AS request_model,
            @text(response_model) AS response_model,
            @text(response_id) AS response_id,
            @text(service_tier) AS service_tier,
            @count(input_tokens) AS input_tokens,
            @count(output_tokens) AS output_tokens,
            @count(cache_read_tokens) AS cache_read_tokens,
            @count(cache_write_tokens) AS cache_write_tokens,
            @count(reasoning_tokens) AS reasoning_tokens,
            @count(audio_input_tokens) AS audio_input_tokens,
            @count(audio_output_tokens) AS audio_output_tokens,
            @count(cache_write_1h_tokens) AS cache_write_1h_tokens,
            @quantities(usage) AS usage,
            extractAll(@text(finish_reasons), '[A-Za-z_]+') AS finish_reasons,
            @text(tool_name) AS tool_name,
            @text(tool_call_id) AS tool_call_id,
            if(@text(tool_names) != '',
               JSONExtract(@text(tool_names), 'Array(String)'),
               arrayConcat(
                   arrayFilter((v, k) -> endsWith(k, '.tool_call.function.name'), mapValues(output_keys), mapKeys(output_keys)),
                   if(position(@text(output_messages), 'tool_call') > 0,
                      extractAll(@text(output_messages), '"type": ?"tool_call".*?"name": ?"([^"]+)"'),
                      emptyArrayString()))) AS tool_names,
            toUInt16(least(ifNull(@count(tool_call_count), length(tool_names)), 65535)) AS tool_call_count,
            accurateCastOrNull(@number(ttft_s) * 1e9, 'UInt64') AS ttft_ns,
            accurateCastOrNull(round(@number(latency_ms) * 1e6), 'UInt64') AS latency_ns,
            @text(session_id) AS session_id,
            @text(user_id) AS user_id,
            @text(pair_id) AS pair_id,
            lower(@text(shadow)) IN ('true', '1') AS shadow,
            @text(agent) AS agent, @text(node) AS node, @text(endpoint) AS endpoint,
            toUInt16(least(greatest(toInt64(ifNull(@count(attempts), 1)) - 1, 0), 65535)) AS retries,
            lower(@text(fallback)) NOT IN ('', 'false', '0') AS is_fallback,
            toDecimal128OrNull(@text(cost_reported), 24) AS reported_usd,
            scope.name AS scope_name, scope.version AS scope_version, -- IF SMALL
            if(length(scope.name) > {attribute_bytes:UInt32}, concat(toValidUTF8(left(scope.name, {attribute_bytes:UInt32})), '… [cut, ', toString(length(scope.name)), ' bytes]'), scope.name) AS scope_name, if(length(scope.version) > {attribute_bytes:UInt32}, concat(toValidUTF8(left(scope.version, {attribute_bytes:UInt32})), '… [cut, ', toString(length(scope.version)), ' bytes]'), scope.version) AS scope_version, -- IF LARGE
            arrayMap(t -> fromUnixTimestamp64Nano(toInt64(t), 'UTC'), span.events.time_unix_nano) AS event_times, -- IF SMALL
            span.events.name AS event_names, -- IF SMALL
            arrayMap(a -> mapFromArrays(a.key, arrayMap(v -> @value(v), a.value)), span.events.attributes) AS event_attributes, -- IF SMALL
            arrayMap(x -> lower(hex(x)), span.links.trace_id) AS link_trace_ids, -- IF SMALL
            arrayMap(x -> lower(hex(x)), span.links.span_id) AS link_span_ids, -- IF SMALL
            arrayMap(t -> fromUnixTimestamp64Nano(toInt64(t), 'UTC'), arraySlice(span.events.time_unix_nano, 1, {event_count:UInt32})) AS event_times, -- IF LARGE
            arrayMap(t -> if(length(t) > {attribute_bytes:UInt32}, concat(toValidUTF8(left(t, {attribute_bytes:UInt32})), '… [cut, ', toString(length(t)), ' bytes]'), t), arraySlice(span.events.name, 1, {event_count:UInt32})) AS event_names, -- IF LARGE
            arrayMap(a -> mapFromArrays(arraySlice(a.key, 1, {attribute_count:UInt32}), arrayMap(t -> if(length(t) > {attribute_bytes:UInt32}, concat(toValidUTF8(left(t, {attribute_bytes:UInt32})), '… [cut, ', toString(length(t)), ' bytes]'), t), arrayMap(v -> @value(v), arraySlice(a.value, 1, {attribute_count:UInt32})))), arraySlice(span.events.attributes, 1, {event_count:UInt32})) AS event_attributes, -- IF LARGE
            arrayMap(x -> lower(hex(x)), arraySlice(span.links.trace_id, 1, {link_count:UInt32})) AS link_trace_ids, -- IF LARGE
            arrayMap(x -> lower(hex(x)), arraySlice(span.links.span_id, 1, {link_count:UInt32})) AS link_span_ids, -- IF LARGE
            fromUnixTimestamp64Nano({ingested_at_ns:Int64}, 'UTC') AS ingested_at,
            mapFromArrays(arrayFilter((k, c) -> c = @code(input_message_keys), keys, codes),
                          arrayFilter((t, c) -> c = @code(input_message_keys), texts, codes)) AS input_keys,
            mapFromArrays(arrayFilter((k, c) -> c = @code(output_message_keys), keys, codes),
                          arrayFilter((t, c) -> c = @code(output_message_keys), texts, codes)) AS output_keys,
            @text(system_instructions) AS system_instructions,
            if(notEmpty(input_keys), toJSONString(input_keys), @text(input_messages)) AS input_messages,
            if(notEmpty(output_keys), toJSONString(output_keys), @text(output_messages)) AS output_messages,
            @text(tool_definitions) AS tool_definitions,
            @text(tool_arguments) AS tool_arguments,
            @text(tool_result) AS tool_result,
            mapFromArrays(arrayFilter((k, c) -> c = 0, keys, codes), arrayFilter((t, c) -> c = 0, texts, codes)) AS attributes, -- IF SMALL
            mapConcat(mapFromArrays(arrayFilter((k, c) -> c = 0, keys, codes), arrayFilter((t, c) -> c = 0, texts, codes)), -- IF LARGE
                      mapFilter((k, v) -> v != '0', map( -- IF LARGE
                          'tollway.dropped_attributes', toString(greatest(toInt64(length(keys)) - {attribute_count:UInt32}, 0)), -- IF LARGE
                          'tollway.dropped_events', toString(greatest(toInt64(length(span.events.name)) - {event_count:UInt32}, 0)), -- IF LARGE
                          'tollway.dropped_links', toString(greatest(toInt64(length(span.links.span_id)) - {link_count:UInt32}, 0))))) AS attributes, -- IF LARGE
            name = 'gen_ai.evaluation.result' AND has(event_names, 'gen_ai.evaluation.result')
                AND event_attributes[indexOf(event_names, 'gen_ai.evaluation.result')]['tollway.score.trace_id'] != '' AS is_score_carrier
        FROM
        (
            -- 3. classify: every key to its column's code once, hot values sorted by precedence
            SELECT
                resource_all, scope, span, project, request_index,
                span.attributes.key AS keys,
                arrayMap(v -> @value(v), span.attributes.value) AS texts, -- IF SMALL
                arrayMap(k -> toUInt16(dictGet('codec.conventions', 'code', k) + @prefixes(k)), keys) AS codes, -- IF SMALL
                -- a key beyond the most kept gets the code of no column -- IF LARGE
                arrayMap((k, i) -> toUInt16(if(i > {attribute_count:UInt32}, 65535, dictGet('codec.conventions', 'code', k) + @prefixes(k))), keys, arrayEnumerate(keys)) AS codes, -- IF LARGE
                arrayMap(c -> if(intDiv(c, 32) IN (@content), {content_bytes:UInt32}, {attribute_bytes:UInt32}), codes) AS most_bytes, -- IF LARGE
                arrayMap((t, most) -> if(length(t) > most, concat(toValidUTF8(left(t, most)), '… [cut, ', toString(length(t)), ' bytes]'), t), -- IF LARGE
                         arrayMap(v -> @value(v), span.attributes.value), most_bytes) AS texts, -- IF LARGE
                arraySort(i -> codes[i], arrayFilter(i -> codes[i] BETWEEN 1 AND @last_hot, arrayEnumerate(codes))) AS hot,
                mapFromArrays(arrayMap(i -> intDiv(codes[i], 32), hot), arrayMap(i -> texts[i], hot)) AS hot_text
            FROM
            (
                -- 2. spans: one row each, beside its resource and scope
                SELECT resource_all, scope_spans.scope AS scope, arrayJoin(scope_spans.spans) AS span, project, request_index
                FROM
                (
                    SELECT mapFromArrays(resource_span.resource.attributes.key, arrayMap(v -> @value(v), resource_span.resource.attributes.value)) AS resource_all, -- IF SMALL
                    SELECT mapConcat(mapFromArrays(arraySlice(resource_span.resource.attributes.key, 1, {attribute_count:UInt32}), -- IF LARGE
                                                   arrayMap(t -> if(length(t) > {attribute_bytes:UInt32}, concat(toValidUTF8(left(t, {attribute_bytes:UInt32})), '… [cut, ', toString(length(t)), ' bytes]'), t), -- IF LARGE
                                                            arrayMap(v -> @value(v), arraySlice(resource_span.resource.attributes.value, 1, {attribute_count:UInt32})))), -- IF LARGE
                                     mapFilter((k, v) -> v != '0', map('tollway.dropped_attributes', toString(greatest(toInt64(length(resource_span.resource.attributes.key)) - {attribute_count:UInt32}, 0))))) AS resource_all, -- IF LARGE
                           arrayJoin(resource_span.scope_spans) AS scope_spans, project, request_index
                    FROM
                    (
                        -- 1. requests, as the senders encoded them
                        SELECT arrayJoin(resource_spans) AS resource_span, project, request_index
                        FROM file({source:String}, 'Protobuf', '
                            resource_spans Array(Tuple(
                                resource Tuple(attributes @attributes),
                                scope_spans Array(Tuple(
                                    scope Tuple(name String, version String),
                                    spans Array(Tuple(
                                        trace_id String, span_id String, parent_span_id String, name String, kind Int64,
                                        start_time_unix_nano UInt64, end_time_unix_nano UInt64,
                                        attributes @attributes,
                                        events Array(Tuple(time_unix_nano UInt64, name String, attributes @attributes)),
                                        links Array(Tuple(trace_id String, span_id String)),
                                        status Tuple(message String, code Int64))))))),
                            project String, request_index UInt32')
                    )
                )
            )
        )
    )
)
SETTINGS
    format_schema = '@proto:ExportTraceServiceRequest',
    input_format_protobuf_oneof_presence = 1,
    max_threads = 1, max_insert_threads = 1, max_block_size = 16,
    -- A row is a whole request: a block of large ones would take a quarter of a gigabyte.
    input_format_max_block_size_bytes = 4194304,
    -- Planning is most of a small batch's cost: these two passes take a quarter of it and give nothing.
    query_plan_merge_expressions = 0, optimize_and_compare_chain = 0, optimize_on_insert = 0,
    max_partitions_per_insert_block = 0,
    -- A large batch is planned once but written in parts of some 16,000 spans: one block would take
    -- most of the engine's memory.
    min_insert_block_size_bytes = 50331648
