-- OTLP trace requests to rows of span_stage: decode, normalise, price, in one statement.
-- {source} is the file of length-delimited requests; @column(…) and its kin come from
-- conventions.toml (see processor/tollway_processor/ingest/statement.py). Lines that end in IF LARGE
-- are taken for batches that may hold an attribute too long or a span with too many, those that end
-- in IF SMALL for the others: what they say costs a twentieth of a small commit to plan. IF FOREIGN
-- lines bring conventions to one form that do not write OpenTelemetry's names; the statement of the
-- IF PLAIN lines fails at the first span that needs them, and the batch is decoded by the other.
INSERT INTO span_stage (
    trace_id, span_id, parent_span_id, started_at, duration_ns, project, service, service_version,
    name, kind, status, status_message, operation, error_type, route, route_source, cohort, variant,
    provider, request_model, response_model, response_id, service_tier,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    audio_input_tokens, audio_output_tokens, cache_write_1h_tokens, usage, finish_reasons, tool_name, tool_call_id, tool_names,
    tool_call_count, ttft_ns, latency_ns, session_id, user_id, tags, pair_id, shadow, agent, node,
    endpoint, retries, is_fallback, cost_usd, cost_status, price_id, priced_as, resource, attributes,
    scope_name, scope_version, event_times, event_names, event_attributes,
    link_trace_ids, link_span_ids, doubts, ingested_at, system_instructions, input_messages,
    output_messages, tool_definitions, tool_arguments, tool_result, request_index, refusal,
    is_score_carrier)
SELECT
    trace_id, span_id, parent_span_id, started_at, duration_ns, project, service, service_version,
    name, kind, status, status_message, operation, error_type, route, route_source, cohort, variant,
    provider, request_model, response_model, response_id, service_tier,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    audio_input_tokens, audio_output_tokens, cache_write_1h_tokens, usage, finish_reasons, tool_name, tool_call_id, tool_names,
    tool_call_count, ttft_ns, latency_ns, session_id, user_id, tags, pair_id, shadow, agent, node,
    endpoint, retries, is_fallback,
    @price_cost,
    resource, attributes, scope_name, scope_version, event_times, event_names, event_attributes,
    link_trace_ids, link_span_ids, doubts, ingested_at, system_instructions, input_messages,
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
            -- Values that the reader gives as raw bytes; any_values.py tells them as text.
            has(span.attributes.value.value, 'kvlist_value') OR has(arrayFlatten(span.events.attributes.value.value), 'kvlist_value')
                OR arrayExists(v -> v IN ('array_value', 'kvlist_value'), arrayFlatten(span.attributes.value.array_value.values.value))
                OR arrayExists(v -> v IN ('array_value', 'kvlist_value'), arrayFlatten(span.events.attributes.value.array_value.values.value)) AS has_nested,
            lower(hex(span.trace_id)) AS trace_id,
            lower(hex(span.span_id)) AS span_id,
            lower(hex(span.parent_span_id)) AS parent_span_id,
            multiIf(
                -- Counts that contradict each other are looked at there, too. -- IF PLAIN
                throwIf(is_foreign OR input_tokens < ifNull(cache_read_tokens, 0) + ifNull(cache_write_tokens, 0) OR output_tokens < reasoning_tokens, 'a span needs the long way'), '', -- IF PLAIN
                throwIf(has_nested, 'a span has nested values'), '',
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
            lower(@text(operation)) AS told_operation, -- IF PLAIN
            @operation_of(told_operation) AS operation,
            multiIf(@text(error_type) != '', @text(error_type), status = 2, event_attributes[indexOf(event_names, 'exception')]['exception.type'], '') AS error_type,
            @text(route) AS route, if(route = '', '', @key(route)) AS route_source,
            @text(cohort) AS cohort, @text(variant) AS variant,
            lower(@text(provider)) AS told_provider, -- IF PLAIN
            replaceRegexpOne(lower(@text(provider)), '\\.(chat|completion|responses|messages|embedding|text-?embedding|image)$', '') AS told_provider, -- IF FOREIGN
            @provider_of(told_provider) AS provider, -- IF PLAIN
            if(@provider_of(told_provider) = '' AND is_call, @provider_of_name(span.name), @provider_of(told_provider)) AS provider, -- IF FOREIGN
            @text(request_model) AS request_model,
            @text(response_model) AS response_model, -- IF PLAIN
            is_call AND match(told_output, '^\\{"(?:id|choices|generations|data|model|object)"') AS has_raw_answer, -- IF FOREIGN
            if(has_raw_answer AND @text(response_model) IN ('', request_model), extract(told_output, '"model(?:_name)?": ?"([^"]+)"'), '') AS raw_model, -- IF FOREIGN
            if(raw_model = '', @text(response_model), raw_model) AS response_model, -- IF FOREIGN
            @text(response_id) AS response_id, -- IF PLAIN
            if(has_raw_answer AND @text(response_id) = '', extract(told_output, '"id": ?"((?:chatcmpl|cmpl|resp|msg|gen)[-_][A-Za-z0-9_-]+)"'), @text(response_id)) AS response_id, -- IF FOREIGN
            @text(service_tier) AS service_tier, -- IF PLAIN
            if(has_raw_answer AND @text(service_tier) IN ('', 'auto'), extract(told_output, '"service_tier": ?"([a-z_]+)"'), @text(service_tier)) AS service_tier, -- IF FOREIGN
            @count(input_tokens) AS input_tokens, -- IF PLAIN
            @count(output_tokens) AS output_tokens, -- IF PLAIN
            @count(cache_read_tokens) AS cache_read_tokens, -- IF PLAIN
            @count(cache_write_tokens) AS cache_write_tokens, -- IF PLAIN
            @count(cache_write_1h_tokens) AS cache_write_1h_tokens,
            @count(reasoning_tokens) AS reasoning_tokens, -- IF PLAIN
            -- Details that a library lost are still in the answer it kept; LangChain puts the tier before their names. -- IF FOREIGN
            ifNull(@count(cache_read_tokens), if(has_raw_answer, toUInt32OrNull(extract(told_output, '"(?:(?:[a-z]+_)?cache_read|cached_tokens)": ?([0-9]{1,9})[,} ]')), NULL)) AS cache_read_tokens, -- IF FOREIGN
            ifNull(@count(reasoning_tokens), if(has_raw_answer, toUInt32OrNull(extract(told_output, '"(?:(?:[a-z]+_)?reasoning|reasoning_tokens)": ?([0-9]{1,9})[,} ]')), NULL)) AS reasoning_tokens, -- IF FOREIGN
            if(ifNull(@count(cache_write_tokens), 0) = 0 AND isNotNull(@count(cache_write_5m_tokens)), @count(cache_write_5m_tokens) + ifNull(cache_write_1h_tokens, 0), @count(cache_write_tokens)) AS cache_write_tokens, -- IF FOREIGN
            ifNull(cache_read_tokens, 0) + ifNull(cache_write_tokens, 0) AS cached_parts, -- IF FOREIGN
            @count(input_tokens) AS told_input_tokens, @count(output_tokens) AS told_output_tokens, -- IF FOREIGN
            @count(total_tokens) - told_input_tokens - told_output_tokens AS untold_tokens, -- IF FOREIGN
            if(untold_tokens > 0, untold_tokens IN (cached_parts, cached_parts + ifNull(reasoning_tokens, 0)), 0) AND cached_parts > 0 AS is_total_beyond_input, -- IF FOREIGN
            has(@exclusive_providers(), provider) OR position(concat(request_model, response_model), 'claude') > 0 AS is_exclusive_provider, -- IF FOREIGN
            accurateCastOrNull(multiIf( -- IF FOREIGN
                isNull(told_input_tokens), @count(fresh_input_tokens) + cached_parts + ifNull(audio_input_tokens, 0), -- IF FOREIGN
                is_total_beyond_input OR (is_exclusive_provider AND (has(@exclusive_scopes(), scope.name) OR told_input_tokens < cached_parts)), told_input_tokens + cached_parts, -- IF FOREIGN
                told_input_tokens), 'UInt32') AS input_tokens, -- IF FOREIGN
            accurateCastOrNull(multiIf( -- IF FOREIGN
                isNull(told_output_tokens), @count(fresh_output_tokens) + ifNull(reasoning_tokens, 0) + ifNull(audio_output_tokens, 0), -- IF FOREIGN
                has(@exclusive_output_scopes(), scope.name) OR told_output_tokens < reasoning_tokens OR (reasoning_tokens > 0 AND untold_tokens = reasoning_tokens + is_total_beyond_input * cached_parts), told_output_tokens + ifNull(reasoning_tokens, 0), -- IF FOREIGN
                told_output_tokens), 'UInt32') AS output_tokens, -- IF FOREIGN
            @count(audio_input_tokens) AS audio_input_tokens,
            @count(audio_output_tokens) AS audio_output_tokens,
            @quantities(usage) AS usage,
            -- Some say OpenTelemetry's word for a message that calls tools, others the provider's.
            arrayMap(r -> if(r = 'tool_call', 'tool_calls', r), extractAll(replaceAll(@text(finish_reasons), '-', '_'), '[A-Za-z_]+')) AS finish_reasons, -- IF PLAIN
            multiIf(NOT is_call OR @text(finish_reasons) != '', extractAll(replaceAll(@text(finish_reasons), '-', '_'), '[A-Za-z_]+'), position(output_messages, 'finish_reason') > 0, extractAll(output_messages, '"finish_reason": ?"([^"]+)"'), -- IF FOREIGN
                    has_raw_answer, arraySlice(extractAll(told_output, '"finish_reason": ?"([^"]+)"'), 1, 1), emptyArrayString()) AS told_reasons, -- IF FOREIGN
            arrayMap(r -> if(r = 'tool_call', 'tool_calls', r), told_reasons) AS finish_reasons, -- IF FOREIGN
            @text(tool_name) AS tool_name, -- IF PLAIN
            @text(tool_call_id) AS tool_call_id, -- IF PLAIN
            operation = 'execute_tool' AS is_tool, -- IF FOREIGN
            multiIf(NOT is_tool, '', @text(tool_name) = '', span.name, @text(tool_name)) AS tool_name, -- IF FOREIGN
            multiIf(is_call, '', is_tool AND @text(tool_call_id) = '', extract(told_output, '"?tool_call_id"?(?:=|: ?)["\x27]([^"\x27]+)'), @text(tool_call_id)) AS tool_call_id, -- IF FOREIGN
            if(@text(tool_names) != '',
               JSONExtract(@text(tool_names), 'Array(String)'),
               if(position(output_messages, 'tool_call') > 0, -- IF PLAIN
               if(is_call AND position(output_messages, 'tool_call') > 0, -- IF FOREIGN
                  arrayMap(p -> p.name, arrayFilter(p -> p.type = 'tool_call', arrayFlatten(JSONExtract(output_messages, 'Array(Tuple(parts Array(Tuple(type String, name String))))').parts))),
                  emptyArrayString())) AS tool_names,
            toUInt16(least(ifNull(@count(tool_call_count), length(tool_names)), 65535)) AS tool_call_count,
            accurateCastOrNull(round(@number(ttft_s) * 1e9), 'UInt64') AS ttft_ns, -- IF PLAIN
            accurateCastOrNull(ifNull(round(ifNull(@number(ttft_s) * 1e9, @number(ttft_ms) * 1e6)), toUnixTimestamp64Nano(parseDateTime64BestEffortOrNull(replaceAll(@text(first_token_at), '"', ''), 9, 'UTC')) - toInt64(span.start_time_unix_nano)), 'UInt64') AS ttft_ns, -- IF FOREIGN
            accurateCastOrNull(round(@number(latency_ms) * 1e6), 'UInt64') AS latency_ns,
            @text(session_id) AS session_id,
            @text(user_id) AS user_id,
            JSONExtract(@text(tags), 'Array(String)') AS tags,
            @text(pair_id) AS pair_id,
            lower(@text(shadow)) IN ('true', '1') AS shadow,
            @text(agent) AS agent, @text(node) AS node,
            @text(endpoint) AS endpoint, -- IF PLAIN
            if(startsWith(@text(endpoint), 'http'), domain(@text(endpoint)), @text(endpoint)) AS endpoint, -- IF FOREIGN
            toUInt16(least(greatest(toInt64(ifNull(@count(attempts), 1)) - 1, 0), 65535)) AS retries,
            lower(@text(fallback)) NOT IN ('', 'false', '0') AS is_fallback,
            if(lower(@text(cost_currency)) IN ('', 'usd'), toDecimal128OrNull(@text(cost_reported), 24), NULL) AS reported_usd,
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
            @text(system_instructions) AS system_instructions,
            @text(input_messages) AS input_messages, -- IF PLAIN
            @text(output_messages) AS output_messages, -- IF PLAIN
            @text(tool_definitions) AS tool_definitions, -- IF PLAIN
            @text(tool_arguments) AS tool_arguments, -- IF PLAIN
            @text(tool_result) AS tool_result, -- IF PLAIN
            multiIf(NOT is_foreign, told_input, is_tool, '', conversation[1]) AS input_messages, -- IF FOREIGN
            multiIf(NOT is_foreign, told_output, is_tool OR operation = 'embeddings', '', conversation[2]) AS output_messages, -- IF FOREIGN
            multiIf(startsWith(@text(tool_definitions), '["{'), concat('[', arrayStringConcat(JSONExtract(@text(tool_definitions), 'Array(String)'), ','), ']'), @text(tool_definitions) NOT IN ('', 'null'), @text(tool_definitions), is_call AND is_foreign, arrayFirst(x -> startsWith(x, '[{'), [JSONExtractRaw(told_input, 'tools'), concat('[', arrayStringConcat(arrayFilter((t, k) -> match(k, '^llm\\.tools\\.[0-9]+\\.tool\\.json_schema$'), texts, keys), ','), ']')]), '') AS tool_definitions, -- IF FOREIGN
            if(is_tool AND @text(tool_arguments) = '', told_input, @text(tool_arguments)) AS raw_arguments, -- IF FOREIGN
            if(is_tool AND @text(tool_result) = '', told_output, @text(tool_result)) AS raw_result, -- IF FOREIGN
            -- A framework's wrapping around what the tool was given and gave. -- IF FOREIGN
            multiIf(NOT is_foreign, raw_arguments, is_call, '', JSONHas(raw_arguments, 'inputs'), JSONExtractRaw(raw_arguments, 'inputs'), JSONHas(raw_arguments, 'input_str'), JSONExtractString(raw_arguments, 'input_str'), raw_arguments) AS tool_arguments, -- IF FOREIGN
            [JSONExtractString(raw_result, 'content'), JSONExtractString(raw_result, 'data', 'content'), JSONExtractString(raw_result, 'kwargs', 'content'), JSONExtractString(raw_result, 'output', 'kwargs', 'content')] AS results, -- IF FOREIGN
            multiIf(NOT is_foreign, raw_result, -- IF FOREIGN
                    arrayExists(x -> x != '', results), arrayFirst(x -> x != '', results), raw_result) AS tool_result, -- IF FOREIGN
            mapFromArrays(arrayFilter((k, is_kept) -> is_kept, keys, kept), arrayFilter((t, is_kept) -> is_kept, texts, kept)) AS attributes, -- IF SMALL
            mapConcat(mapFromArrays(arrayFilter((k, is_kept) -> is_kept, keys, kept), arrayFilter((t, is_kept) -> is_kept, texts, kept)), -- IF LARGE
                      mapFilter((k, v) -> v != '0', map( -- IF LARGE
                          'tollway.dropped_attributes', toString(greatest(toInt64(length(span.attributes.key)) - {attribute_count:UInt32}, 0)), -- IF LARGE
                          'tollway.dropped_events', toString(greatest(toInt64(length(span.events.name)) - {event_count:UInt32}, 0)), -- IF LARGE
                          'tollway.dropped_links', toString(greatest(toInt64(length(span.links.span_id)) - {link_count:UInt32}, 0))))) AS attributes, -- IF LARGE
            emptyArrayString() AS doubts, -- IF PLAIN
            arrayMap(i -> concat(transform(intDiv(codes[i], @slots()), @count_numbers(), @count_names(), ''), ': ', -- IF FOREIGN
                                 multiIf(match(texts[i], '^-[0-9]+$'), 'negative', match(texts[i], '^[0-9]+$'), 'absurd', 'no number')), doubted) AS doubts, -- IF FOREIGN
            name = 'gen_ai.evaluation.result' AND has(event_names, 'gen_ai.evaluation.result')
                AND event_attributes[indexOf(event_names, 'gen_ai.evaluation.result')]['tollway.score.trace_id'] != '' AS is_score_carrier
        FROM
        (
            @conversation -- IF FOREIGN
            -- 3b. sort: hot values by their column, by precedence
            SELECT
                resource_all, scope, span, project, request_index, keys, texts, codes,
                arraySort(i -> codes[i], arrayFilter(i -> codes[i] BETWEEN 1 AND @last_hot(), arrayEnumerate(codes))) AS hot, -- IF PLAIN
                -- What stands there empty does not hide what another name tells; of many chunks the first counts. -- IF FOREIGN
                arraySort(i -> toUInt64(codes[i]) * 1048576 + i, arrayFilter(i -> if(texts[i] = '', 0, codes[i] BETWEEN 1 AND @last_hot()), arrayEnumerate(codes))) AS hot, -- IF FOREIGN
                arrayMap(i -> intDiv(codes[i], @slots()), hot) AS hot_columns,
                mapFromArrays(hot_columns, arrayMap(i -> texts[i], hot)) AS hot_text,
                arrayFilter(i -> intDiv(codes[i], @slots()) IN (@counts()), hot) AS counted,
                mapFromArrays(arrayMap(i -> intDiv(codes[i], @slots()), counted),
                              arrayMap(i -> if(toUInt32OrNull(texts[i]) <= 2147483648, toUInt32OrNull(texts[i]), NULL), counted)) AS hot_count,
                arrayExists(c -> @is_foreign(c), codes) OR hasAny(span.events.name, @opened_events()) OR arrayExists(v -> isNull(v), mapValues(hot_count)) OR hasAny(mapKeys(resource_all), @resource_keys()) OR has(@exclusive_scopes(), scope.name) AS is_foreign,
                arrayFilter(i -> ifNull(toUInt32OrNull(texts[i]), 4294967295) > 2147483648, counted) AS doubted, -- IF FOREIGN
                arrayMap(c -> c = 0, codes) AS kept -- IF PLAIN
                arrayMap((c, i) -> c IN (0, @objects_code()) OR has(doubted, i), codes, arrayEnumerate(codes)) AS kept -- IF FOREIGN
            FROM
            (
            -- 3a. classify: every key to its column's code once
            SELECT
                resource_all, scope, span, project, request_index,
                span.attributes.key AS keys, -- IF PLAIN
                keys, -- IF FOREIGN
                arrayMap(k -> dictGet('codec.conventions', 'code', k), keys) AS key_codes, -- IF PLAIN
                arrayMap(k -> toUInt16(greatest(dictGet('codec.conventions', 'code', k), @prefixes(k))), keys) AS key_codes, -- IF FOREIGN
                arrayMap(v -> @value(v), span.attributes.value) AS told_texts, -- IF PLAIN
                told_texts AS texts, key_codes AS codes -- IF SMALL
                -- a key beyond the most kept gets the code of no column -- IF LARGE
                arrayMap((c, i) -> toUInt16(if(i BETWEEN {attribute_count:UInt32} + 1 AND length(span.attributes.key), 65503, c)), key_codes, arrayEnumerate(key_codes)) AS codes, -- IF LARGE
                arrayMap(c -> if(intDiv(c, @slots()) IN (@content()), {content_bytes:UInt32}, {attribute_bytes:UInt32}), codes) AS most_bytes, -- IF LARGE
                arrayMap((t, most) -> if(length(t) > most, concat(toValidUTF8(left(t, most)), '… [cut, ', toString(length(t)), ' bytes]'), t), -- IF LARGE
                         told_texts, most_bytes) AS texts -- IF LARGE
            FROM
            (
                @opened -- IF FOREIGN
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
                )))) -- IF FOREIGN
            )
            )
            ))))) -- IF FOREIGN
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
